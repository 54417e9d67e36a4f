"""Decontamination: held-out documents and benchmark items in training text."""
