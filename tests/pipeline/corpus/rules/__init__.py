"""Tests of pipeline/corpus/rules."""
