"""Signals about a document, one family a file; each is found by its name."""
