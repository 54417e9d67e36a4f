"""Feed-forward layers that are more than a dense one, by name."""
