"""Ask a database that cannot be used, and read what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import StoreFailure
from app.ledger.engine import open_engine, translates_errors
from app.ledger.failures import Place

PASSWORD = "hunter2"


@translates_errors
def ask(engine: Engine, statement: str = "SELECT 1") -> object:
    """What a part of the ledger does."""
    with engine.begin() as connection:
        return connection.execute(text(statement)).all()


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


def fault_at(url: str, statement: str = "SELECT 1") -> StoreFailure:
    """What a database's failure becomes, which holds no password."""
    with engine_of(url) as engine, pytest.raises(StoreFailure) as raised:
        ask(engine, statement)
    assert PASSWORD not in str(raised.value)
    assert raised.value.__cause__ is None
    return raised.value


def says_of(code: str, place: Place, detail: str = "") -> str:
    """The line for a fault as the table has it."""
    message, _, advice = place.explain(code, detail)
    return f"{message}: {advice}"


def ask_all(engine: Engine, *statements: str) -> None:
    """Execute these over one connection, as they stand."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
