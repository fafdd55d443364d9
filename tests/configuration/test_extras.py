"""What turns the extras on, and what is said where one is not installed."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from app.configuration import extras
from app.configuration.settings import Settings
from app.domain.errors import Misconfigured
from tests.support.cli import ROOT


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def problems(**environment: str) -> list[str]:
    with pytest.raises(Misconfigured) as wrong:
        read(**environment)
    return wrong.value.problems


ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = "http://collector:4318"
# Our own modules that import them.
OF_ON = (
    *("telemetry.spans", "telemetry.starting", "telemetry.exporting"),
    *("oidc.provider", "oidc.id_token"),
)
PACKAGES = ("opentelemetry", "sentry_sdk", "authlib", "joserfc")
DSN = "https://0123456789abcdef@o1.ingest.sentry.io/42"


def test_traces_and_reports_of_bugs_are_off_by_default() -> None:
    assert (Settings().traces, Settings().sentry_dsn) == (False, None)
    assert (read().traces, read().sentry_dsn) == (False, None)


@pytest.mark.parametrize("name", [ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_an_address_of_a_collector_turns_traces_on(name: str) -> None:
    assert read(**{name: COLLECTOR}).traces


@pytest.mark.parametrize("value", ["true", "TRUE"])
def test_the_sdks_own_switch_turns_them_off_whatever_else_is_set(value: str) -> None:
    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert not read(**{ENDPOINT: COLLECTOR, "OTEL_SDK_DISABLED": value}, **grpc).traces


def test_what_the_sdk_is_told_elsewhere_is_no_matter_while_traces_are_off() -> None:
    assert not read(OTEL_EXPORTER_OTLP_PROTOCOL="grpc").traces


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (ENDPOINT, "PLANTED:4318", f"{ENDPOINT} has to be an http:// or https:// address"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL has to be http/protobuf (usually port 4318): "
            "no other is spoken",
        ),
    ],
)
def test_a_variable_that_cannot_be_followed_is_refused(name: str, value: str, problem: str) -> None:
    assert problems(**{ENDPOINT: COLLECTOR, name: value}) == [problem]


def test_a_protocol_of_traces_counts_more_than_one_of_all_signals() -> None:
    spoken = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    }
    assert read(**{ENDPOINT: COLLECTOR}, **spoken).traces


def test_a_dsn_is_kept_as_a_secret() -> None:
    found = read(SENTRY_DSN=DSN).sentry_dsn
    assert str(found) == DSN
    assert "0123456789abcdef" not in repr(read(SENTRY_DSN=DSN))


@pytest.mark.parametrize("dsn", ["PLANTED", "https://PLANTED.example/1", "https://key@PLANTED/x"])
def test_what_is_no_dsn_is_refused(dsn: str) -> None:
    (problem,) = problems(SENTRY_DSN=dsn)
    assert problem == "SENTRY_DSN has to be a DSN of Sentry (https://KEY@HOST/PROJECT)"


@pytest.mark.parametrize(
    ("name", "value", "extra"),
    [
        (ENDPOINT, COLLECTOR, "otel"),
        ("SENTRY_DSN", DSN, "sentry"),
        ("CONSOLE_OIDC_ISSUER", "https://login.example.com", "oidc"),
    ],
)
def test_an_extra_that_is_asked_for_and_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, extra: str
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    needs = f"needs an extra that is not installed: pip install '.[{extra}]'"
    assert problems(**{name: value}) == [f"{name} {needs}"]


def test_a_package_that_is_not_there_at_all_is_an_extra_that_is_not_installed() -> None:
    with pytest.raises(ValueError, match=r"pip install '.\[x\]'"):
        extras.require("no_such_package.in_it", "x")


# None of the packages can be imported, as where no extra is installed. Then the entry points and
# all that they import, an application, the console, and what a worker works on.
ALL_PARTS = f"""
import sys
sys.modules |= dict.fromkeys({PACKAGES})
import app.cli.main, app.web.__main__, app.web.console.routes, workers.__main__
from app.configuration.settings import Settings
from app.web.main import create_app
from workers.context import Context
create_app(Settings())
Context.of(Settings())
print(sorted(sys.modules))
"""


@pytest.mark.slow
def test_all_of_it_works_where_no_extra_is_installed() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ALL_PARTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    imported = ast.literal_eval(ended.stdout)
    assert [name for name in imported if name.startswith("app.telemetry.")] == [
        "app.telemetry.bugs",
        "app.telemetry.process",
        "app.telemetry.records",
        "app.telemetry.trace_ids",
    ]


def test_what_is_imported_where_they_are_off_names_none_of_the_packages() -> None:
    """But for typing, and in functions that are called where they are on."""
    free = [path for top in ("app", "workers") for path in (ROOT / top).rglob("*.py")]
    on = {ROOT / "app" / f"{name.replace('.', '/')}.py" for name in OF_ON}
    named = [
        path.name
        for path in free
        if path not in on
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(word in ast.unparse(node) for word in (*PACKAGES, *OF_ON))
    ]
    assert named == []
