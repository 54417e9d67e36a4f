"""What an export holds beside weights and tokeniser, by name."""
