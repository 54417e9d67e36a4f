"""Adapters of evaluation to public harnesses, one module each; nothing in the pipeline needs them."""
