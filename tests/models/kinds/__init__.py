"""Tests of the kinds of tokenisers."""
