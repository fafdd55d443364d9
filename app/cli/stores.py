"""The stores that commands work on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from app.configuration.settings import LEDGER_NEEDS, Settings
from app.ledger.schema import refuse_if_known_too_new
from app.stores import Stores, opened_stores


@contextmanager
def environment_stores(*, ledger: bool = True) -> Iterator[Stores]:
    """The stores that the environment names, closed at the end of the block.

    Without `ledger`, the command asks Redis alone, and DATABASE_URL may be absent. Raises
    Misconfigured if a setting is missing or wrong, and LedgerTooNew if this release is too old for
    the ledger.
    """
    needed = LEDGER_NEEDS if ledger else ()
    with opened_stores(Settings.from_environment(os.environ, needed=needed)) as stores:
        if ledger:
            refuse_if_known_too_new(stores.engine)
        yield stores
