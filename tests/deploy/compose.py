"""`deploy/compose.yaml` as Compose reads it, as far as the file goes: interpolated, merged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.docs.pages import DOCS, section_blocks
from tests.support.cli import ROOT
from tests.support.shell import run

PAGE = DOCS / "how-to/containers.md"
COMPOSE = ROOT / "deploy/compose.yaml"
EXAMPLE = ROOT / "deploy/compose.env.example"
# $$, or ${NAME}, ${NAME:-default}, ${NAME:?what is wrong}
REFERENCE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")
ASSIGNMENT = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


class Missing(Exception):
    """A variable that has to be set is not; the text is the file's own."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """The text with the values of the variables. Raises Missing."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, operator, rest = found.groups()
        if variables.get(name):
            return variables[name]
        if operator == "?":
            raise Missing(f"{name}: {rest}")
        assert operator == "-", found[0]
        return str(rest)

    return REFERENCE.sub(value, text)


def services(variables: Mapping[str, str]) -> dict[str, Any]:
    """The services with what these variables of `.env` make of them. Raises Missing."""
    document = yaml.safe_load(COMPOSE.read_text("utf-8"))
    found: dict[str, Any] = _interpolated(document["services"], variables)
    for service in found.values():
        service["environment"] = _environment(service.get("environment", {}), variables)
    return found


def _interpolated(part: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _interpolated(value, variables) for key, value in part.items()}
    if isinstance(part, list):
        return [_interpolated(value, variables) for value in part]
    return interpolate(part, variables) if isinstance(part, str) else part


def _environment(given: Mapping[str, str | None], variables: Mapping[str, str]) -> dict[str, str]:
    """One without a value is taken from `.env`, and is not there if that has none."""
    taken = {name: variables.get(name) if text is None else text for name, text in given.items()}
    return {name: text for name, text in taken.items() if text is not None}


def referenced() -> set[str]:
    """The variables that the file takes from `.env`, in whatever way."""
    text = COMPOSE.read_text("utf-8")
    document = yaml.safe_load(text)
    passed = {
        name
        for service in document["services"].values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    secrets = {secret["environment"] for secret in document["secrets"].values()}
    return {name for name, *_ in REFERENCE.findall(text) if name} | passed | secrets


def read_env(text: str) -> dict[str, str]:
    """An `.env` file whose values are as plain as the example's."""
    return dict(ASSIGNMENT.findall(text))


def made_env(folder: Path) -> dict[str, str]:
    """The example with its secrets filled in, by the very command of the page."""
    (folder / EXAMPLE.name).write_bytes(EXAMPLE.read_bytes())
    (block,) = section_blocks(PAGE, "1. Make the secrets", "sh")
    run(block._replace(text=block.text.removeprefix("cd deploy\n")), {}, folder)
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    return read_env((folder / ".env").read_text())
