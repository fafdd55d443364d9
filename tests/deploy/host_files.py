"""The files that hosts read, and what each of them says: settings, processes, seconds to stop."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

from tests.deploy.procfile import PROCFILE
from tests.support.cli import ROOT

READERS: dict[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": yaml.safe_load,
}


class HostFile(NamedTuple):
    """A file, and the schema in tests/deploy/schemas that it is held to."""

    name: str
    schema: str

    def read(self) -> Any:
        """What stands in it."""
        path = ROOT / self.name
        return READERS[path.suffix](path.read_text("utf-8"))

    def read_schema(self) -> Any:
        """What may stand in it."""
        path = ROOT / "tests/deploy/schemas" / f"{self.schema}.json"
        return json.loads(path.read_text("utf-8"))


HEROKU = HostFile("app.json", "heroku")
FLY = HostFile("deploy/fly.toml", "fly")
FLY_VALKEY = HostFile("deploy/fly-valkey.toml", "fly")
RENDER = HostFile("deploy/render.yaml", "render")
RAILWAY = HostFile("deploy/railway.json", "railway")
RAILWAY_WORKER = HostFile("deploy/railway-worker.json", "railway")
FILES = [HEROKU, FLY, FLY_VALKEY, RENDER, RAILWAY, RAILWAY_WORKER]


def procfile() -> dict[str, str]:
    """The command of each process, by its name."""
    return {name: shlex.join(words) for name, words in PROCFILE.items()}


def render_services() -> dict[str, Any]:
    """Render's services, by type."""
    return {service["type"]: service for service in RENDER.read()["services"]}


def settings_named() -> Iterator[tuple[str, str, str | None]]:
    """Each setting that a file gives to the product: the file, its name, its value, if any."""
    for name, asked in HEROKU.read()["env"].items():
        yield HEROKU.name, name, asked.get("value")
    for name, value in FLY.read()["env"].items():
        yield FLY.name, name, value
    for kind in ("web", "worker"):
        for variable in render_services()[kind]["envVars"]:
            yield f"{RENDER.name}, {kind}", variable["key"], variable.get("value")


def commands_named() -> Iterator[tuple[str, str, str]]:
    """Each command that a file runs: the file, the process that it stands for, the command."""
    fly = FLY.read()
    for name, command in fly["processes"].items():
        yield FLY.name, name, command
    yield FLY.name, "release", fly["deploy"]["release_command"]
    services = render_services()
    for kind in ("web", "worker"):
        yield RENDER.name, kind, services[kind]["startCommand"]
    yield RENDER.name, "release", services["web"]["preDeployCommand"]
    for file, kind in ((RAILWAY, "web"), (RAILWAY_WORKER, "worker")):
        yield file.name, kind, file.read()["deploy"]["startCommand"]
    (release,) = RAILWAY.read()["deploy"]["preDeployCommand"]
    yield RAILWAY.name, "release", release


def seconds_to_stop() -> Iterator[tuple[str, int]]:
    """How long each file lets a process take to stop."""
    yield FLY.name, FLY.read()["kill_timeout"]
    for kind in ("web", "worker"):
        yield f"{RENDER.name}, {kind}", render_services()[kind]["maxShutdownDelaySeconds"]
    for file in (RAILWAY, RAILWAY_WORKER):
        yield file.name, file.read()["deploy"]["drainingSeconds"]


def health_paths() -> Iterator[tuple[str, str]]:
    """The path that each host asks."""
    for check in FLY.read()["http_service"]["checks"]:
        yield FLY.name, check["path"]
    yield RENDER.name, render_services()["web"]["healthCheckPath"]
    yield RAILWAY.name, RAILWAY.read()["deploy"]["healthcheckPath"]
