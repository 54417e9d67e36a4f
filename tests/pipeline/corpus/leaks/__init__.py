"""Tests of the removal of leaks."""
