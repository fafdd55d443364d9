"""Which release this is."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

DISTRIBUTION = "stripe-identity-reconciler"
PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def in_clone() -> bool:
    """Whether this runs from a clone, and not from an installed package."""
    return PROJECT.exists()


@cache
def version() -> str:
    """The version that is installed or, in a clone that is not, that of its pyproject.toml.

    `unknown` where there is neither.
    """
    try:
        return installed_version(DISTRIBUTION)
    except PackageNotFoundError:
        pass
    if not in_clone():  # an image into which only the packages were copied
        return "unknown"
    return str(tomllib.loads(PROJECT.read_text("utf-8"))["project"]["version"])
