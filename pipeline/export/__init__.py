"""Export: the run's model in a layout of Hugging Face or our own, with a model card."""
