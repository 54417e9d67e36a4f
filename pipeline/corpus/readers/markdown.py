"""Markdown: each file a document, as it stands; cleaning makes text of its marks."""

from pipeline.corpus.readers.whole import read as read
