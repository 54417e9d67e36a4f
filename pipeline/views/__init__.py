"""What only looks at a run: nothing that a run makes depends on it. Reached by name."""
