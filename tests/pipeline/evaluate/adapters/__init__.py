"""Tests of pipeline/evaluate/adapters."""
