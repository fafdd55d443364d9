"""What a pod does from the moment that it is told to end, as its manifest has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from app.local.valkey import Valkey, free_port
from tests.deploy.kubernetes.manifests import container_of, of_kind, pods
from tests.web.conftest import settings_of
from tests.web.deliveries import URL, event, signed
from tests.web.processes import ROOT, environment, read_answer, request, running

OVERLAY = "production"
POD = pods(OVERLAY)["identity-web"]
WEB = container_of(POD)
# Seconds that Kubernetes leaves between SIGTERM, which comes once preStop is over, and SIGKILL.
LEFT = (
    POD["spec"]["terminationGracePeriodSeconds"] - WEB["lifecycle"]["preStop"]["sleep"]["seconds"]
)


def probe(name: str) -> bytes:
    """The request of a probe."""
    return request("GET", WEB[name]["httpGet"]["path"])


def delivery(id: str) -> bytes:
    """A signed delivery."""
    body = event(id)
    return request("POST", URL, body, *signed(body).items())


@pytest.mark.slow
def test_what_came_before_sigterm_is_answered_and_what_comes_after_is_refused(
    valkey: Valkey, redis: Redis, database_url: str, tmp_path: Path
) -> None:
    (config,) = of_kind(OVERLAY, "ConfigMap")
    settings = config["data"] | settings_of(valkey.url, database_url)
    del settings["PORT"]
    with running(tmp_path, **settings) as web:
        assert web.exchange(probe("startupProbe")).status == 200
        assert web.exchange(probe("readinessProbe")).status == 200
        with web.connect() as kept, web.connect() as slow:
            kept.sendall(delivery("evt_1"))
            assert json.loads(read_answer(kept).body) == {"outcome": "enqueued"}
            sent = delivery("evt_2")
            slow.sendall(sent[:-9])
            assert web.answers()  # and so it has read what `slow` has sent
            web.process.send_signal(signal.SIGTERM)
            # A connection that waits for nothing is closed, so that a proxy sends nothing on it.
            assert kept.recv(1) == b""
            # This is what preStop is for: a node that has not heard yet would send here.
            with pytest.raises(ConnectionRefusedError):
                web.connect()
            slow.sendall(sent[-9:])
            assert json.loads(read_answer(slow).body) == {"outcome": "enqueued"}
        assert web.process.wait(LEFT) == 0
    assert redis.llen("rq:queue:identity-events") == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "started"), [("identity-web", '"durability"'), ("identity-worker", '"worker started"')]
)
def test_a_process_that_is_the_first_of_its_pod_hears_sigterm(
    valkey: Valkey, redis: Redis, database_url: str, name: str, started: str
) -> None:
    """The kernel keeps from such a process each signal that it has not asked for."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        assert os.environ.get("CI") != "true", "it takes root, and unshare of util-linux"
        pytest.skip("it takes root, and unshare of util-linux")
    _, *module = container_of(pods(OVERLAY)[name])["command"]
    settings = {"PORT": str(free_port()), **settings_of(valkey.url, database_url)}
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *module],
        cwd=ROOT,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        text=True,
    ) as pod:
        try:
            assert pod.stdout is not None
            assert any(started in line for line in pod.stdout)
            children = Path(f"/proc/{pod.pid}/task/{pod.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGTERM)
            pod.communicate(timeout=LEFT)
        finally:
            pod.kill()
    assert pod.returncode == 0
