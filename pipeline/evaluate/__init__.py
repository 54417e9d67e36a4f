"""Evaluation: bits per byte beside xz, multiple choice and cloze, and an adapter to a public harness."""
