"""Tests of the finetune stage."""
