"""Rigs on SQLite and PostgreSQL, and nothing left of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.ledger.engine import open_engine
from app.ledger.migrate import upgrade
from tests.faults.dead_men import DeadMen
from tests.faults.processes import reap
from tests.faults.rig import Rig
from tests.faults.scene import Scene
from tests.faults.stripe_stub import stripe_stub
from tests.postgres import Postgres, postgres_server

MakeRig = Callable[..., Rig]


@pytest.fixture(scope="session", autouse=True)
def reaper() -> Iterator[None]:
    """Ends what a test has left behind, and tells of it."""
    yield
    left = reap()
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to copy."""
    path = tmp_path_factory.mktemp("faults") / "ledger.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that waits for its disk, and that no test kills."""
    with postgres_server(durable=True) as server:
        migrate(server.url("template1"))
        yield server


@pytest.fixture
def sqlite_url(migrated: Path, tmp_path: Path) -> str:
    """A ledger without rows."""
    return f"sqlite:///{shutil.copy(migrated, tmp_path / 'ledger.db')}"


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """By parameter: an empty ledger on SQLite, which is the default, or on PostgreSQL."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(scope="module")
def dead_men(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeadMen]:
    """The parent of processes that die at a named point."""
    men = DeadMen(tmp_path_factory.mktemp("dead-men"))
    yield men
    men.close()


@pytest.fixture
def make_rig(tmp_path: Path, database_url: str) -> Iterator[MakeRig]:
    """Makes rigs with Valkey running, and ends them; the logs are shown where the test fails."""
    with ExitStack() as stack:

        def make(**options: object) -> Rig:
            rig = Rig(tmp_path, options.pop("database_url", database_url), **options)  # type: ignore[arg-type]
            stack.enter_context(rig)
            return rig

        yield make


def migrate(url: str) -> None:
    """Bring a database up to date."""
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()


@pytest.fixture
def scene(make_rig: MakeRig, dead_men: DeadMen) -> Iterator[Scene]:
    """A product with Valkey, a database and Stripe, and no process yet."""
    with stripe_stub() as stub:
        extra = {
            "STRIPE_API_KEY": "sk_test_faults",
            "STRIPE_API_BASE": stub.url,
            "MAX_ATTEMPTS": "1",
        }
        rig = make_rig(extra=extra)
        yield Scene(rig, stub, dead_men)
        dead_men.end_all()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: at the end one core would wait for the other."""
    longest = ("test_soak", "test_outages")
    items.sort(key=lambda item: not item.path.stem.startswith(longest))
