"""``python -m pipeline``: the same as ``firstlight``."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
