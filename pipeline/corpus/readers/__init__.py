"""One module a kind of file; extract finds it by its name."""
