"""What SECURITY.md promises is shown by tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.support.cli import ROOT

SHOWN_BY = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "SECURITY.md").read_text())


@pytest.mark.parametrize(("file", "name"), SHOWN_BY)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text("utf-8")


def test_every_line_of_the_table_names_a_test() -> None:
    table = re.findall(r"^\|(?!---| who \|).*$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert len(table) >= 10
    assert [line for line in table if "::test_" not in line] == []
