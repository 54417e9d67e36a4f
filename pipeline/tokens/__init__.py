"""Text to tokens: the tokeniser, memory-mapped pieces, and the order in which they are read."""
