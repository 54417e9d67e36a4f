"""Tests of models/layouts."""
