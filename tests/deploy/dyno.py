"""Dynos without Heroku: the Procfile's lines in an environment as Heroku's, and what a slug has."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.deploy.host_files import procfile
from tests.support.cli import ROOT

# What a dyno's shell does, and has first: https://devcenter.heroku.com/articles/dyno-startup-behavior
START = '. "$HOME/.profile"; {}'
ABSENT = """import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"a dyno has no {{name}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def not_on_a_dyno() -> set[str]:
    """The modules of this environment that requirements.txt does not bring."""
    lock = (ROOT / "requirements.txt").read_text("utf-8")
    locked = {_normal(name) for name in re.findall(r"^([\w.-]+)(?:\[.*\])?==", lock, re.M)}
    return {
        module
        for module, brought_by in packages_distributions().items()
        if not any(_normal(name) in locked for name in brought_by)
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass
class Dynos:
    """The dynos of one app. What they write is in `folder`; `config` are the app's config vars."""

    folder: Path
    config: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        modules = self.folder / "site"
        modules.mkdir()
        (modules / "sitecustomize.py").write_text(ABSENT.format(absent=not_on_a_dyno()))

    def environment(self, dyno: str) -> dict[str, str]:
        """What a process of this dyno finds; Heroku's HOME is where the clone lies."""
        return {
            "HOME": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{self.folder / 'site'}:{ROOT}",
            "PYTHONUNBUFFERED": "true",
            "DYNO": dyno,
            **self.config,
        }

    def start(self, dyno: str) -> None:
        """Start the process of the Procfile that the dyno is named by, such as `web.1`."""
        with (self.folder / f"{dyno}.log").open("ab") as log:
            self.running[dyno] = subprocess.Popen(
                ["bash", "-c", START.format(procfile()[dyno.partition(".")[0]])],
                cwd=ROOT,
                env=self.environment(dyno),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """`heroku run -- COMMAND`."""
        return subprocess.run(
            ["bash", "-c", START.format(command)],
            cwd=ROOT,
            env=self.environment("run.1234"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def terminate(self) -> None:
        """SIGTERM to every process of every dyno."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)

    def codes(self, seconds: float) -> dict[str, int]:
        """The exit codes, once all have ended; TimeoutExpired if one does not in time."""
        return {dyno: process.wait(seconds) for dyno, process in self.running.items()}

    def log(self, dyno: str) -> str:
        """What the dyno has written."""
        return (self.folder / f"{dyno}.log").read_text("utf-8")


@contextmanager
def dynos(folder: Path, **config: str) -> Iterator[Dynos]:
    """An app without a running dyno; none is left at the end."""
    app = Dynos(folder, config)
    try:
        yield app
    finally:
        for process in app.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
