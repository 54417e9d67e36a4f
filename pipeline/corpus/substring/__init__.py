"""Repeated substrings: every occurrence but the first is cut out of the training text."""
