"""Tests of the reward stage."""
