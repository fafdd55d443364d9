"""`python -m app`: the command line, for a clone without an installation."""

import sys

from app.cli.main import main
from app.logs import configure


def run() -> None:
    """A command's log lines go to standard error: its output is for the next command."""
    configure("text", sys.stderr)
    main()


if __name__ == "__main__":
    run()
