"""Published rules of quality, one family a file, reached by name through pipeline/corpus/families.py."""
