"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from app.domain import handlers
from app.domain.change import Change, Policy
from app.domain.effects import PROCESSING_OVERDUE, Notify, Recheck
from app.domain.session import merge
from app.domain.standing import resolve, with_next_version
from tests.support.observations import observation

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def example_handler() -> dict[str, Any]:
    """The README's handler, run where a team would put it: in `app/domain/handlers.py`."""
    (block,) = re.findall(r"```python\n(def processing\(.*?)```", README, re.DOTALL)
    namespace = dict(vars(handlers))
    exec(compile(block, "README.md", "exec"), namespace)
    return namespace


def test_the_example_handler_asks_for_what_it_says() -> None:
    seen = observation("processing", 10)
    session = merge(None, seen)
    standing = with_next_version(None, resolve([session]))
    change = Change(seen, None, session, None, standing, Policy(notify=True))
    assert example_handler()["processing"](change) == [Notify(), Recheck(after=PROCESSING_OVERDUE)]


def test_the_example_handler_is_the_one_that_runs() -> None:
    source = (Path(__file__).parent.parent / "app/domain/handlers.py").read_text("utf-8")
    (block,) = re.findall(r"```python\n(def processing\(.*?)```", README, re.DOTALL)
    assert block.strip() in source
