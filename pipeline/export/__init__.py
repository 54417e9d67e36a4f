"""Export: the run's model in the Hugging Face layout, with a model card."""
