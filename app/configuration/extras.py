"""What is installed on request only: what turns it on, and what is said where it is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec

from starlette.datastructures import Secret

from app.configuration.addresses import check_http_url

# The SDK reads them itself, as it does all its other variables. The first counts more.
# https://opentelemetry.io/docs/specs/otel/protocol/exporter/
TRACE_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TRACE_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
# https://docs.sentry.io/concepts/key-terms/dsn-explainer/
DSN = re.compile(r"https?://[A-Za-z0-9]+(:[A-Za-z0-9]+)?@[^/@\s]+(/[^/@\s]+)*/[0-9]+\Z")


def trace_problems(environment: Mapping[str, str]) -> list[str]:
    """What keeps traces, which are asked for, from being exported: a line for each."""
    problems = []
    spoken = next((name for name in TRACE_PROTOCOLS if environment.get(name)), None)
    if spoken is not None and environment[spoken] != PROTOCOL:
        problems.append(f"{spoken} has to be {PROTOCOL} (usually port 4318): no other is spoken")
    try:
        require("opentelemetry.exporter.otlp.proto.http", "otel")
    except ValueError as error:
        asked = next(name for name in TRACE_ENDPOINTS if environment.get(name))
        problems.append(f"{asked} {error}")
    return problems


def read_endpoint(text: str) -> Secret:
    """A collector's address. Raises ValueError, which says what is wrong."""
    check_http_url(text)
    return Secret(text)


def read_true(text: str) -> bool:
    """As OpenTelemetry reads it: what is not `true` is false."""
    return text.lower() == "true"


def read_sentry_dsn(text: str) -> Secret:
    """The DSN of a project at Sentry. Raises ValueError, which says what is wrong."""
    if not DSN.match(text):
        raise ValueError("has to be a DSN of Sentry (https://KEY@HOST/PROJECT)")
    require("sentry_sdk", "sentry")
    return Secret(text)


def require(module: str, extra: str) -> None:
    """Raises ValueError, which says what to install, if an extra's module is not there."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # of a package that it is in
        found = None
    if found is None:
        raise ValueError(f"needs an extra that is not installed: pip install '.[{extra}]'")
