"""Where metrics also go, by name."""
