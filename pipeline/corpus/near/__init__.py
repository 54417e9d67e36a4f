"""Near-duplicates: MinHash proposes, the text decides, and each removal has its evidence."""
