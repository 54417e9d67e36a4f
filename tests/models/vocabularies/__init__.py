"""Tests of models/vocabularies."""
