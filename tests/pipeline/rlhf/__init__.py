"""Tests of the rlhf stage."""
