"""`python -m app`: the command line, for a clone where nothing is installed."""

from app.cli.main import main

if __name__ == "__main__":
    main()
