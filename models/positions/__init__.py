"""How a token knows its place, by name."""
