"""What runs in the pods, as whom, with which settings, and how long it has to end."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any, get_type_hints

import pytest

from app.configuration.settings import VARIABLES, Settings
from app.starting import UNUSABLE
from app.web.__main__ import DRAIN_TIMEOUT as WEB_DRAIN_TIMEOUT
from app.web.openapi import DESCRIPTION
from tests.deploy.dockerfile import DOCKERFILE, line_of, read_stages
from tests.deploy.kubernetes.manifests import (
    KUBERNETES,
    OVERLAYS,
    Manifest,
    container_of,
    of_kind,
    pods,
    the,
)
from tests.deploy.kubernetes.restricted import violations
from tests.support.cli import ROOT
from workers.supervisor import DRAIN_TIMEOUT as WORKER_DRAIN_TIMEOUT

SETTINGS = {variable.name: field for field, variable in VARIABLES.items()}
PROCESSES = dict(
    line.split(": ", 1) for line in (ROOT / "Procfile").read_text("utf-8").splitlines()
)
# The Procfile's name of what each workload runs.
RUNS = {"identity-web": "web", "identity-worker": "worker", "identity-migrate": "release"}
EXAMPLE = (KUBERNETES / "secret.example.env").read_text("utf-8")
EXAMPLES = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.MULTILINE))
PLAIN = ("str", "int", "bool")


def settings_of(overlay: str) -> dict[str, str]:
    """What the overlay sets for every pod."""
    (config,) = of_kind(overlay, "ConfigMap")
    return dict(config["data"])


def is_secret(name: str) -> bool:
    """Whether a variable holds what must not be in a ConfigMap."""
    hint = str(get_type_hints(Settings)[SETTINGS[name]])
    return any(word in hint for word in ("Secret", "Token", "ConsoleUser"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_workload_runs_a_process_of_the_procfile(overlay: str) -> None:
    commands = {name: " ".join(container_of(pod)["command"]) for name, pod in pods(overlay).items()}
    assert commands == {name: PROCESSES[process] for name, process in RUNS.items()}
    assert not any("args" in container_of(pod) for pod in pods(overlay).values())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_exists_and_has_a_value_that_the_product_takes(overlay: str) -> None:
    given = settings_of(overlay)
    assert given.keys() <= SETTINGS.keys()
    assert EXAMPLES.keys() <= SETTINGS.keys()
    assert Settings.read(given)[1] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_stands_in_a_manifest(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == []
    assert [name for name in settings_of(overlay) if is_secret(name)] == []
    assert not any("env" in container_of(pod) for pod in pods(overlay).values())


def test_the_example_of_a_secret_has_secrets_only_and_no_value() -> None:
    assert [name for name in EXAMPLES if not is_secret(name)] == []
    assert set(EXAMPLES.values()) == {""}
    missing = Settings.read(EXAMPLES, needed=["DATABASE_URL", "STRIPE_WEBHOOK_SECRET"])[1]
    assert len(missing) == 2


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_has_the_settings_and_the_secret_and_what_is_its_own_over_them(
    overlay: str,
) -> None:
    (config,) = of_kind(overlay, "ConfigMap")
    for name, pod in pods(overlay).items():
        settings, secret, *own = container_of(pod)["envFrom"]
        assert settings == {"configMapRef": {"name": config["metadata"]["name"]}}
        assert secret == {"secretRef": {"name": "identity"}}
        if RUNS[name] != "release":
            assert own == [{"secretRef": {"name": name, "optional": True}}]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_ask_what_web_serves_on_the_port_that_it_listens_on(overlay: str) -> None:
    container = container_of(pods(overlay)["identity-web"])
    (port,) = container["ports"]
    assert str(port["containerPort"]) == settings_of(overlay)["PORT"]
    served = json.loads(DESCRIPTION)["paths"]
    asked = {}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked[probe] = container[probe]["httpGet"]["path"]
        assert container[probe]["httpGet"]["port"] == port["name"]
        assert "get" in served[asked[probe]]
    assert asked["livenessProbe"] == "/healthz"  # a restart brings no Redis back
    assert asked["readinessProbe"] == "/readyz"
    service = the(overlay, "Service", "identity-web")
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_has_the_time_that_its_process_takes_to_stop(overlay: str) -> None:
    web, worker = pods(overlay)["identity-web"], pods(overlay)["identity-worker"]
    pause = container_of(web)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert web["spec"]["terminationGracePeriodSeconds"] >= pause + WEB_DRAIN_TIMEOUT + 5
    assert worker["spec"]["terminationGracePeriodSeconds"] >= WORKER_DRAIN_TIMEOUT + 5
    assert "lifecycle" not in container_of(worker)  # nothing is sent to it


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_migration_that_no_second_try_mends_is_not_tried_again(overlay: str) -> None:
    job = the(overlay, "Job", "identity-migrate")["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # what such a policy takes
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule == {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [UNUSABLE]}}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_new_pod_runs_before_an_old_one_stops(overlay: str) -> None:
    for deployment in of_kind(overlay, "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {
            "maxSurge": 1,
            "maxUnavailable": 0,
        }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_fits_the_restricted_standard_that_its_namespace_asks_for(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {name: violations(pod["spec"]) for name, pod in pods(overlay).items()} == {
        name: [] for name in RUNS
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_runs_as_the_user_that_the_image_has_made(overlay: str) -> None:
    made = line_of(read_stages(DOCKERFILE.read_text("utf-8"))["identity"], "USER")
    for pod in pods(overlay).values():
        context = pod["spec"]["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == made


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_writes_but_to_its_tmp_nor_holds_a_token_of_kubernetes(overlay: str) -> None:
    (account,) = of_kind(overlay, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    for pod in pods(overlay).values():
        container = container_of(pod)
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]
        # A Service of the namespace may have any name, and would set variables by it.
        assert pod["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_says_what_it_needs_and_how_much_memory_at_most(overlay: str) -> None:
    for pod in pods(overlay).values():
        resources = container_of(pod)["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}
        assert resources["limits"].keys() == {"memory"}


# --- the check itself ----------------------------------------------------------------------------


def planted(where: str, value: Any) -> Manifest:
    """A pod of ours with this in it; `container.` begins what is the container's."""
    pod = deepcopy(pods("small")["identity-web"]["spec"])
    *way, field = where.split(".")
    inner = pod
    if way and way[0] == "container":
        inner, way = pod["containers"][0], way[1:]
    for step in way:
        inner = inner.setdefault(step, {})
    inner[field] = value
    return dict(pod)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("hostNetwork", True),
        ("hostPID", True),
        ("hostIPC", True),
        ("volumes", [{"name": "tmp", "hostPath": {"path": "/"}}]),
        ("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
        ("securityContext.runAsUser", 0),
        ("securityContext.runAsNonRoot", False),
        ("securityContext.runAsNonRoot", None),
        ("securityContext.seccompProfile", {"type": "Unconfined"}),
        ("securityContext.seccompProfile", None),
        ("securityContext.seLinuxOptions", {"user": "system_u"}),
        ("securityContext.appArmorProfile", {"type": "Unconfined"}),
        ("securityContext.windowsOptions", {"hostProcess": True}),
        ("container.securityContext", {}),
        ("container.securityContext.runAsNonRoot", False),
        ("container.securityContext.runAsUser", 0),
        ("container.securityContext.seccompProfile", {"type": "Unconfined"}),
        ("container.securityContext.privileged", True),
        ("container.securityContext.allowPrivilegeEscalation", None),
        ("container.securityContext.capabilities", {"drop": ["NET_RAW"]}),
        ("container.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ("container.securityContext.procMount", "Unmasked"),
        ("container.ports", [{"containerPort": 8000, "hostPort": 8000}]),
        ("container.livenessProbe", {"httpGet": {"host": "10.0.0.1", "port": 80}}),
        ("container.lifecycle", {"preStop": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
    ],
)
def test_what_the_standard_forbids_is_found(where: str, value: Any) -> None:
    assert violations(planted(where, value)) != []
