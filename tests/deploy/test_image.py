"""The image's contents, built without Docker, and run under a container runtime."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from app.local.valkey import Valkey, free_port
from app.version import version
from tests.deploy.container import STOP_WITHIN, Container, Image, done, pack, run
from tests.deploy.contents import faults_of
from tests.deploy.dockerfile import DOCKERFILE, committed_files, read_stages, sent_files
from tests.deploy.image import Builder, Built, debian
from tests.deploy.procfile import PROCFILE
from tests.support.cli import ROOT
from tests.support.postgres import postgres_server
from tests.support.waiting import eventually
from tests.web.deliveries import SECRET, event, signed

PROGRAMS = ("mmdebstrap", "umoci", "runc")
TOKEN = "token-of-the-image-test"
START_WITHIN = 30.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory: tens of thousands of files are made and removed. Skipped without tools.

    In CI that fails.
    """
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent or os.geteuid() != 0:
        why = f"needs root, and apt-get install {' '.join(PROGRAMS)}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    path = Path(tempfile.mkdtemp(prefix="image-"))
    done(["mount", "-t", "tmpfs", "tmpfs", str(path)])
    yield path
    done(["umount", "--lazy", str(path)])
    path.rmdir()


@pytest.fixture(scope="module")
def builder(folder: Path) -> Builder:
    """Of the stages of the Dockerfile."""
    stages = read_stages(DOCKERFILE.read_text("utf-8"))
    (base,) = {stage.base for stage in stages.values() if stage.base not in stages}
    sent = sent_files(committed_files(), (ROOT / ".dockerignore").read_text("utf-8"))
    return Builder(folder, debian(folder, base.rpartition("-")[2]), stages, sent)


@pytest.fixture(scope="module")
def built(builder: Builder) -> Built:
    """The last stage."""
    return builder.build("identity")


@pytest.fixture(scope="module")
def image(built: Built, folder: Path) -> Image:
    """The same, as an image."""
    return pack(built, folder)


@dataclass
class Deployment:
    """Web and worker in containers, with Valkey and PostgreSQL outside of them."""

    web: Container
    worker: Container
    url: str
    valkey: Valkey

    def deliver(self, body: bytes) -> object:
        """What the webhook answers to a signed delivery."""
        url = f"{self.url}/webhooks/stripe"
        return requests.post(url, data=body, headers=signed(body), timeout=10).json()

    def standing(self, reference: str) -> str | None:
        """How the user stands by the API."""
        url, bearer = f"{self.url}/v1/references/{reference}", {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.get(url, headers=bearer, timeout=10)
        return answer.json()["standing"]["status"] if answer.ok else None

    def answers(self) -> bool:
        """Whether web answers."""
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/readyz", timeout=10).ok
        return False


@pytest.fixture(scope="module")
def deployment(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Started as compose.yaml does: release first, then web by the image's own command."""
    folder = tmp_path_factory.mktemp("deployment")
    with ExitStack() as stack:
        valkey = stack.enter_context(Valkey(folder / "valkey"))
        postgres = stack.enter_context(postgres_server())
        postgres.directory.chmod(0o711)  # its socket is for the container's user as well
        port = free_port()
        settings = {
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "DATABASE_URL": postgres.url(),
            "REDIS_URL": valkey.url,
            "API_TOKENS": TOKEN,
            "PORT": str(port),
        }

        def started(name: str, *command: str) -> Container:
            log = folder / f"{name}.log"
            mounts = [postgres.directory]
            container = Container(image, name, settings, command=command, mounts=mounts, log=log)
            stack.callback(container.remove)
            return container

        release = started("release", *PROCFILE["release"])
        assert release.process.wait(START_WITHIN) == 0, release.log.read_text()
        web, worker = started("web"), started("worker", *PROCFILE["worker"])
        deployment = Deployment(web, worker, f"http://127.0.0.1:{port}", valkey)
        eventually(lambda: web.process.poll() is not None or deployment.answers(), START_WITHIN)
        assert web.process.poll() is None, web.log.read_text()
        yield deployment


def test_the_files_have_nothing_to_build_with_nothing_superfluous_and_are_not_its_users(
    built: Built,
) -> None:
    assert faults_of(built.root) == []
    names = {path.name for path in (built.root / "identity").iterdir()}
    assert names == {"LICENSE", "app", "pyproject.toml", "workers"}


def test_what_the_image_says_of_itself_is_the_files(
    image: Image, built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    config = image.config
    assert config["User"] == "10001:10001"
    assert config["Cmd"] == PROCFILE["web"]
    assert config["StopSignal"] == "SIGTERM"
    assert config.keys().isdisjoint({"Entrypoint", "Volumes"})
    assert built.config.healthcheck == ["python", "-m", "app.web.probe"]
    ours = sum(size_of(built.root / name) for name in ("venv", "identity")) / 1e6
    pulled = image.compressed / 1e6
    with capsys.disabled():
        print(f"{pulled:.0f} MB to pull; {ours:.0f} MB of ours, unpacked")  # noqa: T201 - measured
    assert ours < 200


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def test_a_delivery_is_taken_and_applied(deployment: Deployment) -> None:
    answered = deployment.deliver(event(status="verified", name="verified", reference="user_1"))
    assert answered == {"outcome": "enqueued"}
    verified = eventually(lambda: deployment.standing("user_1"), 20, "the event is applied")
    assert verified == "verified"


def test_a_command_runs_by_its_name(deployment: Deployment) -> None:
    shown = deployment.worker.run("identity", "references", "show", "user_1")
    assert shown.returncode == 0, shown.stderr
    assert "verified" in shown.stdout
    assert deployment.web.run("identity", "--version").stdout == f"identity {version()}\n"


@pytest.mark.parametrize("path", ["/identity/x", "/venv/x", "/etc/x", "/x", "/var/tmp/x"])
def test_nothing_but_tmp_can_be_written(path: str, deployment: Deployment) -> None:
    refused = deployment.web.run("python", "-c", f"open({path!r}, 'w')")
    assert "Read-only file system" in refused.stderr or "Permission denied" in refused.stderr
    assert deployment.web.run("python", "-c", "open('/tmp/x', 'w')").returncode == 0


def test_it_runs_as_its_user_with_no_rights(deployment: Deployment) -> None:
    script = "import os; print(os.getuid(), os.getgid(), open('/proc/self/status').read())"
    printed = deployment.worker.run("python", "-c", script).stdout
    assert printed.startswith("10001 10001 ")
    assert "CapEff:\t0000000000000000" in printed
    assert "NoNewPrivs:\t1" in printed


def test_the_health_check_asks_whether_web_runs_and_not_whether_redis_does(
    built: Built, deployment: Deployment
) -> None:
    check = built.config.healthcheck
    assert deployment.web.run(*check).returncode == 0
    deployment.valkey.kill()
    try:
        eventually(lambda: not deployment.answers(), 20, "web is not ready")
        assert deployment.web.run(*check).returncode == 0
    finally:
        deployment.valkey.start()
    unheard = deployment.web.run("env", "PORT=1", *check)
    assert unheard.returncode == 1
    assert "web does not answer at 127.0.0.1:1" in unheard.stderr + unheard.stdout


def test_sigterm_ends_both_in_time(deployment: Deployment) -> None:
    eventually(deployment.answers, 20, "web is ready again")
    for container in (deployment.web, deployment.worker):
        assert container.stop(STOP_WITHIN) == 0, container.log.read_text()


def test_the_local_stripe_is_as_bare_and_starts_as_its_user(builder: Builder) -> None:
    built = builder.build("sandbox")
    assert faults_of(built.root) == ["/data can be changed by its user"]
    assert {path.name for path in (built.root / "identity").iterdir()} == {"deploy"}
    environment = [f"{name}={value}" for name, value in built.config.env.items()]
    inside = ["chroot", f"--userspec={built.config.user}", str(built.root)]
    started = run([*inside, "env", "-i", *environment, *built.config.cmd, "--help"])
    assert started.stdout.startswith("usage: python -m deploy.sandbox"), started.stderr
