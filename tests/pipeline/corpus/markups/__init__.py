"""Tests of markups."""
