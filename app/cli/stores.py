"""The stores that commands work on."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from app.configuration.settings import LEDGER_NEEDS, Settings
from app.stores import Stores, opened_stores


def environment_stores(*, ledger: bool = True) -> AbstractContextManager[Stores]:
    """The stores that the environment names, closed at the end of the block.

    Without `ledger`, the command asks Redis alone, and DATABASE_URL may be absent. Raises
    Misconfigured if a setting is missing or wrong.
    """
    needed = LEDGER_NEEDS if ledger else ()
    return opened_stores(Settings.from_environment(os.environ, needed=needed))
