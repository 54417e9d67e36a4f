"""Vocabularies of other libraries as tokenizer.json. Each form is reached by its name; no other module imports it."""
