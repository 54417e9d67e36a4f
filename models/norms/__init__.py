"""Normalisations, by name."""
