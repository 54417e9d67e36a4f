"""Tests of cleaning and privacy."""
