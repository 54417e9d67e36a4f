"""Raw sources to kept, held-out and dropped documents, and evaluation items."""
