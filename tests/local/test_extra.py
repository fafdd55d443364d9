"""The extra `local`: what is said where it is missing."""

from __future__ import annotations

import sys

import pytest

from app.local import extra
from app.local.extra import MODULES, missing_extra


def nothing(module: str) -> None:
    """As `find_spec` where nothing is installed."""


def test_nothing_is_said_where_it_is_installed() -> None:
    assert missing_extra() is None


def test_in_a_clone_the_lock_is_what_to_install() -> None:
    said = str(missing_extra(nothing))
    assert said.endswith(f"{sys.executable} -m pip install -r requirements-dev.txt")
    assert all(module in said for module in MODULES)


def test_of_an_installed_package_it_is_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "in_clone", lambda: False)
    assert str(missing_extra(nothing)).endswith("pip install 'stripe-identity-reconciler[local]'")


def test_only_what_is_missing_is_named() -> None:
    said = str(missing_extra(lambda module: None if module == "httpx2" else module))
    assert "need httpx2, not installed" in said
