"""Plain text: each file a document."""

from pipeline.corpus.readers.whole import read as read
