"""Cleaning: markup, unicode, whitespace and private facts, text in and text out."""
