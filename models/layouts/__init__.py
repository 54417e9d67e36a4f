"""Layouts of weights on disk, one module for each `model_type` of a config.json; `folder` reads and writes a folder."""
