"""``python -m oddshot``."""

from oddshot.cli import main

if __name__ == "__main__":
    main()
