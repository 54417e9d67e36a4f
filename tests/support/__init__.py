"""Fakes and tiny data that tests share."""
