"""`deploy/compose.yaml` and its example of an `.env`, without Docker."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.configuration.settings import LEDGER_NEEDS, VARIABLES, WEB_NEEDS, Settings
from tests.deploy import compose
from tests.deploy.compose import (
    COMPOSE,
    EXAMPLE,
    Missing,
    interpolate,
    made_env,
    read_env,
    referenced,
    services,
)
from tests.deploy.dockerfile import DOCKERFILE, line_of, read_stages
from tests.deploy.procfile import PROCFILE
from tests.support.cli import ROOT

SETTINGS = {variable.name for variable in VARIABLES.values()}
# What only the compose file itself reads.
ITS_OWN = {
    "BACKEND_TOKEN",
    "COMPOSE_PROFILES",
    "GRAFANA_PASSWORD",
    "IDENTITY_IMAGE",
    "IDENTITY_REQUIREMENTS",
    "POSTGRES_PASSWORD",
    "PROMETHEUS_TOKEN",
    "VALKEY_RECEIVER_PASSWORD",
    "VALKEY_WEB_PASSWORD",
    "VALKEY_WORKER_PASSWORD",
}
# What is the same in every deployment by it, and so no variable of `.env`.
FIXED = {"API_TOKENS", "DATABASE_URL", "REDIS_URL"}
# They have no use here: nothing speaks TLS to Valkey, and web's place is known.
UNUSED = {"HOST", "PORT", "REDIS_TLS_VERIFY"}
PROVISIONING = ROOT / "deploy/grafana/provisioning"
OURS = ("web", "worker", "release")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made_env(tmp_path_factory.mktemp("deploy"))


@pytest.fixture
def composed(filled: dict[str, str]) -> dict[str, Any]:
    return services(filled)


def schema_check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run(
        [*command, str(path)], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_file_is_one_of_compose() -> None:
    checked = schema_check(COMPOSE)
    assert checked.returncode == 0, checked.stdout


def test_a_misspelled_key_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "compose.yaml"
    planted.write_text(COMPOSE.read_text("utf-8").replace("stop_grace_period", "stop_grace"))
    assert "stop_grace" in schema_check(planted).stdout


# --- settings ----------------------------------------------------------------------------------


def test_every_variable_that_it_takes_is_a_setting_or_its_own() -> None:
    assert referenced() - SETTINGS - ITS_OWN == set()
    assert read_env(EXAMPLE.read_text()).keys() - SETTINGS - ITS_OWN == set()


def test_every_setting_can_be_made() -> None:
    document = yaml.safe_load(compose.COMPOSE.read_text("utf-8"))
    for name in OURS:
        assert document["services"][name]["environment"].keys() == SETTINGS - UNUSED
    assert FIXED & referenced() == set()


def test_whatever_it_needs_is_in_the_example(filled: dict[str, str]) -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text("utf-8")))
    assert needed - filled.keys() == set()
    for name in needed:
        with pytest.raises(Missing, match=name):
            services(filled | {name: ""})


def test_nothing_of_the_example_is_left_unfilled_or_is_no_secret(filled: dict[str, str]) -> None:
    secrets = [text for name, text in filled.items() if SECRET.search(name)]
    assert len(secrets) == len(set(secrets)) == 8
    assert [text for text in secrets if not re.search(r"[0-9a-f]{48}\Z", text)] == []


@pytest.mark.parametrize("path", [COMPOSE, EXAMPLE], ids=lambda path: path.name)
def test_no_secret_has_a_default(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(rf"\$\{{\w*(?:{SECRET.pattern})\w*:-[^}}]", text)
    set_here = re.findall(rf"^\s*\w*(?:{SECRET.pattern})[:=] *(\S.*)$", text, re.MULTILINE)
    unguarded = [
        value for value in set_here if not re.match(r"\$\{\w+:\?|whsec_$|sk_test_$|#", value)
    ]
    assert unguarded == []


@pytest.mark.parametrize(("name", "needed"), [("web", WEB_NEEDS), ("worker", LEDGER_NEEDS)])
def test_the_product_takes_the_settings(
    name: str, needed: tuple[str, ...], composed: dict[str, Any]
) -> None:
    settings = Settings.from_environment(composed[name]["environment"], needed=needed)
    assert settings.stripe_api_base == "http://sandbox:12111"
    assert [(token.name, sorted(token.scopes)) for token in settings.api_tokens] == [
        ("backend", ["read", "redact", "write"]),
        ("prometheus", ["read"]),
    ]


def test_a_setting_of_the_env_file_reaches_the_product(filled: dict[str, str]) -> None:
    environment = services(filled | {"MAX_ATTEMPTS": "3"})["worker"]["environment"]
    assert Settings.from_environment(environment).max_attempts == 3


def test_web_and_worker_are_different_users_of_valkey(composed: dict[str, Any]) -> None:
    urls = [composed[name]["environment"]["REDIS_URL"] for name in ("web", "worker")]
    users = [re.match(r"redis://(\w+):", url) for url in urls]
    assert [user and user[1] for user in users] == ["web", "worker"]


# --- services ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_the_commands_are_the_procfiles(name: str, composed: dict[str, Any]) -> None:
    assert composed[name]["command"] == PROCFILE[name]


def test_every_service_is_confined(composed: dict[str, Any]) -> None:
    for name, service in composed.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        # Prometheus is given its token as a secret, which Compose does in none that is read-only.
        assert service["read_only"] == (name != "prometheus"), name


def test_every_service_says_whether_it_is_well(composed: dict[str, Any]) -> None:
    by_the_image = {"web"}
    for name in composed.keys() - by_the_image:
        assert composed[name]["healthcheck"], name
    assert line_of(read_stages(DOCKERFILE.read_text())["identity"], "HEALTHCHECK")


def test_nothing_listens_beyond_this_host(composed: dict[str, Any]) -> None:
    ports = [port for service in composed.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_web_and_worker_start_once_the_ledger_is_migrated(composed: dict[str, Any]) -> None:
    for name in ("web", "worker"):
        waits = composed[name]["depends_on"]
        assert waits["release"] == {"condition": "service_completed_successfully"}
        assert waits["valkey"] == {"condition": "service_healthy"}
    assert composed["release"]["restart"] == "no"


def test_a_process_has_longer_to_end_than_it_takes(composed: dict[str, Any]) -> None:
    assert [composed[name]["stop_grace_period"] for name in ("web", "worker")] == ["30s", "30s"]


def test_only_the_profiles_services_are_in_profiles(composed: dict[str, Any]) -> None:
    profiles = {
        name: service["profiles"] for name, service in composed.items() if "profiles" in service
    }
    assert profiles == {
        "sandbox": ["sandbox"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


@pytest.mark.parametrize("name", ["valkey", "prometheus", "grafana"])
def test_every_file_that_is_mounted_exists(name: str, composed: dict[str, Any]) -> None:
    mounted = [each.split(":")[0] for each in composed[name]["volumes"] if each.startswith("./")]
    assert mounted
    assert [path for path in mounted if not (ROOT / "deploy" / path).exists()] == []


def test_grafana_is_given_the_dashboard_where_it_looks_for_it(composed: dict[str, Any]) -> None:
    mounted = dict(each.split(":")[:2] for each in composed["grafana"]["volumes"])
    provider = yaml.safe_load((PROVISIONING / "dashboards/identity.yaml").read_text())
    folder = Path(mounted["./grafana/dashboard.json"]).parent
    assert [each["options"]["path"] for each in provider["providers"]] == [str(folder)]


def test_prometheus_and_grafana_look_where_the_others_are(composed: dict[str, Any]) -> None:
    source = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text())
    assert [each["url"] for each in source["datasources"]] == ["http://prometheus:9090"]
    config = yaml.safe_load((ROOT / "deploy/prometheus/compose.yaml").read_text())
    (scrape,) = config["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["web:8000"]}]
    secrets = composed["prometheus"]["secrets"]
    assert [scrape["authorization"]["credentials_file"]] == [f"/run/secrets/{n}" for n in secrets]


@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        (
            "  MAX_ATTEMPTS:\n",
            "  MAX_ATTEMTPS:\n",
            lambda _: test_every_variable_that_it_takes_is_a_setting_or_its_own(),
        ),
        ("  SENTRY_DSN:\n", "", lambda _: test_every_setting_can_be_made()),
        (
            "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?",
            "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-",
            lambda _: test_no_secret_has_a_default(compose.COMPOSE),
        ),
        (
            "command: [python, -m, workers]",
            "command: [python, -m, worker]",
            partial(test_the_commands_are_the_procfiles, "worker"),
        ),
        ("cap_drop: [ALL]", "cap_drop: []", test_every_service_is_confined),
        ("127.0.0.1:9090:9090", "9090:9090", test_nothing_listens_beyond_this_host),
        (
            "service_completed_successfully",
            "service_started",
            test_web_and_worker_start_once_the_ledger_is_migrated,
        ),
    ],
    ids=lambda given: given.strip() if isinstance(given, str) else "",
)
def test_a_mistake_is_found(
    right: str,
    wrong: str,
    check: Callable[[dict[str, Any]], None],
    filled: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = COMPOSE.read_text("utf-8")
    assert right in text
    planted = tmp_path / "compose.yaml"
    planted.write_text(text.replace(right, wrong))
    monkeypatch.setattr(compose, "COMPOSE", planted)
    with pytest.raises(AssertionError):
        check(services(filled))


@pytest.mark.parametrize(
    ("text", "value"),
    [("$$A", "$A"), ("${A}", "a"), ("${B:-b}", "b"), ("${A:?no}/${B:-}", "a/")],
)
def test_a_reference_becomes_its_value(text: str, value: str) -> None:
    assert interpolate(text, {"A": "a"}) == value
