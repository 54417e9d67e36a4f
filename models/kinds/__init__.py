"""Kinds of tokenisers, one module a kind, reached by name: ``build(words, size)`` makes one from counted words."""
