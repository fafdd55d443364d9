"""`identity console password`: the line of a person, and nothing else, on standard output."""

from __future__ import annotations

import pytest

from app.configuration.passwords import password_matches
from app.configuration.settings import Settings
from tests.support.cli import Run

PASSWORD = "PLANTED horse battery"


@pytest.fixture
def environment() -> dict[str, str]:
    """It needs no setting."""
    return {}


def test_the_line_that_it_prints_is_taken_as_it_stands(run: Run) -> None:
    ran = run("console", "password", "anna@example.com", "--role", "operate", typed=PASSWORD + "\n")
    assert ran.code == 0
    assert ran.out.count("\n") == 1
    (user,) = Settings.from_environment({"CONSOLE_USERS": ran.out}).console_users
    assert (user.name, user.role) == ("anna@example.com", "operate")
    assert password_matches(str(user.hash), PASSWORD)
    assert "PLANTED" not in ran.out + ran.err
    assert "CONSOLE_USERS, in single quotes" in ran.err


@pytest.mark.parametrize("typed", ["", "short\n", "x" * 1_001 + "\n"])
def test_a_password_that_is_too_short_or_too_long_is_told(run: Run, typed: str) -> None:
    ran = run("console", "password", "anna", typed=typed)
    assert (ran.code, ran.out) == (1, "")
    assert "12 to 1000 characters" in ran.err


@pytest.mark.parametrize("name", ["an na", "anna:read", "", "x" * 65])
def test_a_name_that_cannot_be_one_is_told(run: Run, name: str) -> None:
    ran = run("console", "password", name, typed=PASSWORD + "\n")
    assert (ran.code, ran.out) == (2, "")
    assert "1 to 64 letters" in ran.err
