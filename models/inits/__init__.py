"""First weights, by name."""
