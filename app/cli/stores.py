"""The stores that commands work on."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from app.settings import Settings
from app.stores import Stores, opened_stores


def environment_stores() -> AbstractContextManager[Stores]:
    """The stores that the environment names, closed at the end of the block.

    Raises Misconfigured if a setting is wrong.
    """
    return opened_stores(Settings.from_environment(os.environ))
