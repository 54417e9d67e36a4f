"""Optimisers, by name."""
