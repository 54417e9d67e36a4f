"""Published shapes, by family."""
