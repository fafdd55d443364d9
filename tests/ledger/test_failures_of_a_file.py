"""Each fault of a SQLite file, made for real, has its own line: what, where, and what to do."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from app.ledger import engine as engines
from app.ledger.engine import LedgerUnavailable, open_engine
from app.ledger.failures import Place
from app.ledger.ledger import Ledger
from tests.ledger.asking import ask, ask_all, engine_of, fault_at


def missing_folder(folder: Path) -> Path:
    return folder / "no" / "ledger.db"


def a_folder(folder: Path) -> Path:
    return folder


def no_database(folder: Path) -> Path:
    path = folder / "ledger.db"
    path.write_text("this is no database, " * 100)
    return path


def a_socket(folder: Path) -> Path:
    with chdir(folder), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("ledger.db")  # a whole path may be too long
    return folder / "ledger.db"


SQLITE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "folder_missing": (
        missing_folder,
        "the folder of the SQLite file {path} does not exist (SQLITE_CANTOPEN):"
        " create it, or correct the path in DATABASE_URL",
    ),
    "is_a_folder": (
        a_folder,
        "the SQLite file {path} is a folder (SQLITE_CANTOPEN): name a file in DATABASE_URL",
    ),
    "not_sqlite": (
        no_database,
        "the SQLite file {path} is not a SQLite database (SQLITE_NOTADB):"
        " correct the path in DATABASE_URL, or move the file away",
    ),
    "file_not_opened": (
        a_socket,
        "the SQLite file {path} cannot be opened (SQLITE_CANTOPEN):"
        " see that it is a plain file on a local disk, and correct the path in DATABASE_URL",
    ),
}


@pytest.mark.parametrize("code", SQLITE)
def test_what_a_file_that_cannot_be_opened_is_called(code: str, tmp_path: Path) -> None:
    make, line = SQLITE[code]
    path = make(tmp_path)
    fault = fault_at(f"sqlite:///{path}")
    assert (fault.code, str(fault)) == (code, line.format(path=path))


@contextmanager
def as_nobody() -> Iterator[None]:
    """As root may do everything: the block runs as a user who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def others() -> Iterator[Path]:
    """A ledger that everyone may read, in a folder that everyone may read."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    with sqlite3.connect(folder / "ledger.db") as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    yield folder / "ledger.db"
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_file_that_this_user_may_not_open(others: Path) -> None:
    others.chmod(0)
    with as_nobody():
        fault = fault_at(f"sqlite:///{others}")
    assert str(fault) == (
        f"this process may not open the SQLite file {others} (SQLITE_CANTOPEN):"
        " give its user the right to read and write the file and its folder"
    )


def test_a_file_that_this_user_may_only_read(others: Path) -> None:
    others.chmod(0o444)
    others.parent.chmod(0o555)
    with as_nobody():
        fault = fault_at(f"sqlite:///{others}", "CREATE TABLE z (y)")
    assert str(fault) == (
        f"the SQLite file {others} cannot be written to (SQLITE_READONLY):"
        " make the file and its folder writable for the user of this process"
    )
    assert type(fault) is LedgerUnavailable


def test_a_file_that_is_locked_full_damaged_or_not_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.05)
    path = tmp_path / "ledger.db"
    url, store = f"sqlite:///{path}", f"the SQLite file {path}"
    told = {}
    with engine_of(url) as engine, pytest.raises(LedgerUnavailable) as raised:
        Ledger(engine).last_event()
    told["not_migrated"] = str(raised.value)
    with engine_of(url) as holder, holder.begin():
        told["file_locked"] = str(fault_at(url))
    with engine_of(url) as engine:
        ask_all(engine, "CREATE TABLE x (y)", "PRAGMA max_page_count = 1")
        with pytest.raises(LedgerUnavailable) as raised:
            ask(engine, "INSERT INTO x SELECT zeroblob(100000)")
    told["disk_full"] = str(raised.value)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    told["damaged"] = str(fault_at(url, "SELECT * FROM x"))
    assert told == {
        "not_migrated": f"the ledger in {store} is not migrated (SQLITE_ERROR):"
        " run `python -m app migrate`",
        "file_locked": f"{store} stayed locked by another process (SQLITE_BUSY):"
        " it is tried again; if it lasts, look for the process that holds it",
        "disk_full": f"the disk of {store} is full (SQLITE_FULL): make room there",
        "damaged": f"{store} is damaged (SQLITE_CORRUPT): restore it from a backup",
    }


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """The system refuses this process each write behind `size` bytes of a file, for the block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with engine_of(f"sqlite:///{path}") as engine:
        ask_all(engine, "CREATE TABLE x (y)")
        with no_file_longer_than(100_000), pytest.raises(LedgerUnavailable) as raised:
            ask(engine, "INSERT INTO x SELECT zeroblob(1000000) RETURNING 1")
    assert str(raised.value) == (
        f"the disk of the SQLite file {path} cannot be read or written (SQLITE_IOERR_WRITE):"
        " look at the disk, and at the system's log"
    )


OUT_OF_MEMORY = """
import sqlite3, sys
from tests.ledger.asking import fault_at
sqlite3.connect(":memory:").execute("PRAGMA hard_heap_limit = 2000000")  # bytes, for every file
print(fault_at(sys.argv[1], "SELECT length(hex(zeroblob(10000000)))"))
"""


def test_a_process_without_memory_for_a_statement(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    # In a process of its own: the limit cannot be lifted again.
    python = [sys.executable, "-W", "ignore::ResourceWarning", "-c", OUT_OF_MEMORY]
    done = subprocess.run(
        [*python, f"sqlite:///{path}"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (
        f"the SQLite file {path} has no memory left: give the server more, or run less beside it\n",
        "",
    )


def test_a_table_that_a_connection_beside_in_the_same_cache_holds(tmp_path: Path) -> None:
    url = f"sqlite:///file:{tmp_path / 'ledger.db'}?cache=shared&uri=true"
    with engine_of(url) as engine, engine.connect() as holder:
        ask_all(engine, "CREATE TABLE x (y)")
        holder.exec_driver_sql("INSERT INTO x VALUES (1)")
        with pytest.raises(LedgerUnavailable) as raised:
            ask(engine, "SELECT * FROM x")
    assert raised.value.code == "file_locked"


def test_a_relative_path_is_shown_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    engine = open_engine("sqlite:///ledger.db")
    assert Place.of(engine.url).where == str(tmp_path / "ledger.db")
    engine.dispose()
