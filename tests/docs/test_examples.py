"""The code in the docs is code that runs."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from app.domain import handlers
from app.domain.change import Change, Policy
from app.domain.effects import PROCESSING_OVERDUE, Notify, Recheck
from app.domain.event import EVENT_TYPES
from app.domain.session import merge
from app.domain.standing import Standing, resolve, with_next_version
from app.ledger.engine import open_engine
from app.ledger.migrate import upgrade
from tests.docs.pages import DOCS, ROOT, blocks, read, section_blocks
from tests.support.observations import observation

HANDLERS = DOCS / "how-to/handlers.md"
NOTIFICATIONS = DOCS / "how-to/notifications.md"
LEDGER = DOCS / "reference/ledger.md"


def example_handler() -> dict[str, Any]:
    """The page's handler, run where a team would put it: in `app/domain/handlers.py`."""
    (block,) = (one for one in blocks(HANDLERS, "python") if one.title is None)
    namespace = dict(vars(handlers))
    exec(compile(block.text, HANDLERS.name, "exec"), namespace)
    return namespace


def test_the_example_handler_asks_for_what_it_says() -> None:
    seen = observation("processing", 10)
    session = merge(None, seen)
    standing = with_next_version(None, resolve([session]), 1_800_000_000)
    change = Change(seen, None, session, None, standing, Policy(notify=True))
    assert example_handler()["processing"](change) == [Notify(), Recheck(after=PROCESSING_OVERDUE)]


def test_the_example_handler_is_the_one_that_runs() -> None:
    (block,) = (one for one in blocks(HANDLERS, "python") if one.title is None)
    assert block.text.strip() in (ROOT / "app/domain/handlers.py").read_text("utf-8")


def test_the_events_to_subscribe_to_are_those_that_are_taken() -> None:
    (events,) = section_blocks(DOCS / "how-to/go-live.md", "1. Add the endpoint", "text")
    assert set(events.text.split()) == EVENT_TYPES


@pytest.mark.parametrize("name", ["example_receiver.py", "example_subscriber.py"])
def test_a_receiver_in_the_docs_is_one_that_is_tested(name: str) -> None:
    source = (ROOT / "tests/notifications" / name).read_text("utf-8")
    shown = [block.text for block in blocks(NOTIFICATIONS, "python") if known(block.text, source)]
    assert len(shown) == 1


def known(shown: str, source: str) -> bool:
    """Whether each paragraph of an example stands in the file; docstrings may be left out."""
    lines = [line.strip() for line in source.splitlines()]
    return all(line.strip() in lines for line in textwrap.dedent(shown).splitlines())


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A migrated ledger, with the team's users beside it."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/identity.db")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (id TEXT PRIMARY KEY)"))
        connection.execute(text("INSERT INTO users VALUES ('user_1')"))
    return engine


def test_the_join_says_how_each_user_stands(ledger: Engine) -> None:
    (join,) = blocks(LEDGER, "sql")
    with ledger.connect() as connection:
        rows = connection.execute(text(join.text)).all()
    assert [tuple(row) for row in rows] == [("user_1", "none")]


def test_the_view_has_the_columns_that_the_page_names(ledger: Engine) -> None:
    columns = {column["name"] for column in inspect(ledger).get_columns("reference_standings")}
    own = {"client_reference_id", "account", "livemode", "purpose"}
    assert columns == own | set(Standing._fields)
    assert all(f"`{name}`" in read(LEDGER) for name in own)


def test_every_table_is_named(ledger: Engine) -> None:
    tables = set(inspect(ledger).get_table_names()) - {"users", "alembic_version"}
    assert [name for name in sorted(tables) if f"| `{name}` |" not in read(LEDGER)] == []
