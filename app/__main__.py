"""`python -m app`: the command line, for a clone without an installation."""

import signal
import sys


def run() -> None:
    """A command's log lines go to standard error: its output is for the next command."""
    # The imports take most of a second, in which Ctrl-C ends the process as the system does it:
    # nothing is open yet, and Python would print where it was.
    at_start = signal.getsignal(signal.SIGINT)
    if at_start == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.cli.main import main
    from app.logs import configure

    signal.signal(signal.SIGINT, at_start)
    configure("text", sys.stderr)
    main()


if __name__ == "__main__":
    run()
