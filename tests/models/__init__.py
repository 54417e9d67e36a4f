"""Tests of models: maths against closed forms, and bits against bits."""
