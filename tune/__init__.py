"""Search over any trial callable. Knows no pipeline and no model."""
