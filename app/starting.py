"""How a process that stays up begins and ends: its arguments, its settings, its log, signals."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from types import FrameType
from typing import NoReturn

from app.configuration.settings import Settings
from app.domain.errors import Misconfigured
from app.ledger.engine import LedgerTooNew, open_engine
from app.ledger.schema import refuse_if_known_too_new
from app.logs import configure
from app.telemetry.process import log_processors
from app.version import version

# The exit code for arguments and settings that cannot be used.
UNUSABLE = 2
# Seconds that a process which can do without the ledger waits for its answer.
LOOK_TIMEOUT = 2.0
# What asks a process to end.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def start(
    program: str,
    help: str,
    *,
    needed: Collection[str],
    prepare: Callable[[Settings], object] = lambda settings: None,
    arguments: Sequence[str],
    takes: str = "--help and --version",
) -> Settings:
    """The settings of this process, whose log is set up by them.

    `needed` names the variables that it cannot start without; `prepare` may raise Misconfigured
    too. Exits with 0 after `--help` and `--version`, and with 2 and a line for each thing that is
    missing or wrong. `arguments` are the command line's, without those that only this process
    takes; `takes` names all.
    """
    for argument in arguments:
        if argument in ("-h", "--help"):
            _end(0, help.strip())
        if argument == "--version":
            _end(0, f"{program} {version()}")
        # Not quoted: it may be a secret.
        _end(UNUSABLE, f"{program} takes {takes}, and no other argument")
    try:
        settings = Settings.from_environment(os.environ, needed=needed)
        prepare(settings)
    except Misconfigured as error:
        _end(UNUSABLE, *error.problems)
    configure(settings.log_format, processors=log_processors(settings))
    return settings


def look_at_schema(settings: Settings) -> None:
    """Exit with 2 and a line where a later release's schema is none for this one.

    A ledger that does not answer at once decides nothing: deliveries are taken without it.
    """
    engine = open_engine(str(settings.database_url), connections=1, seconds=LOOK_TIMEOUT)
    try:
        refuse_if_known_too_new(engine)
    except LedgerTooNew as failure:
        refuse(failure)
    finally:
        engine.dispose()


def refuse(failure: LedgerTooNew) -> NoReturn:
    """Exit with 2 and a line that says why this release must not work on the ledger."""
    _end(UNUSABLE, str(failure))


class ExitRequest:
    """Ends this process with 0 at a stop signal, wherever it is: it holds nothing.

    Python drops what a signal's handler raises within a destructor or a weak reference's callback.
    So the signal is noted as well: `check` ends the process where the exit was dropped.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        """From now on, until somebody else takes the signals over, who has to check then."""
        self._received = False
        for asked in signals:
            signal.signal(asked, self._end)

    def check(self) -> None:
        """Exit if one has come."""
        if self._received:
            sys.exit(0)

    def _end(self, signum: int, frame: FrameType | None) -> None:
        self._received = True
        ignore_stop_signals()
        sys.exit(0)


def ignore_stop_signals() -> None:
    """Ignore what asks this process to end: it does so already.

    A platform may ask again: while Python ends it has no handler, and would be killed.
    """
    for asked in STOP_SIGNALS:
        signal.signal(asked, signal.SIG_IGN)


def _end(code: int, *lines: str) -> NoReturn:
    stream = sys.stderr if code else sys.stdout
    try:
        print(*lines, sep="\n", file=stream, flush=True)  # there is no log yet
    except BrokenPipeError:  # `--help | head`; Python would try once more at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
