"""Tests of the removal of repeated substrings."""
