"""What the tests of operations share."""

from __future__ import annotations

import pytest

from app.operations.bulk import run


@pytest.fixture
def chunks_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few letters are several chunks."""
    monkeypatch.setattr(run, "CHUNK", {"replay": 10, "discard": 10})
