"""What a recipe may ask of pretraining and most do not, by name."""
