"""One module a kind of private fact, found by its name: ``spans(text)`` says where a text has one. Pure."""
