"""The reward model: which of two chats people rated higher."""
