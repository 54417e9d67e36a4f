"""Tests of private; cleaning/test_privacy.py measures all kinds together."""
