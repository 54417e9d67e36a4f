"""The journey from raw text to an aligned model: stages, recipes, the command line and the report."""
