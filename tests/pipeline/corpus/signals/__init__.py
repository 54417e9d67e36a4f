"""Tests of pipeline/corpus/signals."""
