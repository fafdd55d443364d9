"""Rigs on SQLite and PostgreSQL, and nothing left of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.killable import Killable
from tests.faults.processes import reap
from tests.faults.rig import Rig
from tests.faults.scene import Scene
from tests.faults.stripe_stub import stripe_stub
from tests.support.postgres import Postgres, postgres_server
from tests.support.stores import migrate_database

MakeRig = Callable[..., Rig]


@pytest.fixture(scope="session", autouse=True)
def reaper() -> Iterator[None]:
    """Ends what a test has left behind, and reports it."""
    yield
    left = reap()
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[Postgres]:
    """A server that waits for its disk, as production does; no test kills it."""
    with postgres_server(durable=True) as server:
        migrate_database(server.url("template1"))
        yield server


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_url: str) -> Iterator[str]:
    """By parameter: an empty ledger on SQLite, which is the default, or on PostgreSQL."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield database_url
        return
    server: Postgres = request.getfixturevalue("durable_postgres")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    """The parent of processes that die at a named point."""
    killable = Killable(tmp_path_factory.mktemp("killable"))
    yield killable
    killable.close()


@pytest.fixture
def make_rig(tmp_path: Path, database_url: str) -> Iterator[MakeRig]:
    """Makes rigs with Valkey running, and ends them; the logs are shown if the test fails."""
    with ExitStack() as stack:

        def make(**options: object) -> Rig:
            rig = Rig(tmp_path, options.pop("database_url", database_url), **options)  # type: ignore[arg-type]
            stack.enter_context(rig)
            return rig

        yield make


@pytest.fixture
def scene(make_rig: MakeRig, killable: Killable) -> Iterator[Scene]:
    """A product with Valkey, a database and Stripe, and no process yet."""
    with stripe_stub() as stub:
        extra = {
            "STRIPE_API_KEY": "sk_test_faults",
            "STRIPE_API_BASE": stub.url,
            "MAX_ATTEMPTS": "1",
        }
        rig = make_rig(extra=extra)
        yield Scene(rig, stub, killable)
        killable.end_all()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: at the end one core would wait for the other."""
    longest = ("test_soak", "test_outages")
    items.sort(key=lambda item: not item.path.stem.startswith(longest))
