"""How one model stands on several workers, by name."""
