"""Tests of pipeline/corpus/near."""
