"""The shell commands of a page, in their parts, and whether each one can be typed as it stands."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from app.cli.main import identity
from app.configuration.settings import VARIABLES
from app.web.openapi import DESCRIPTION

ROOT = Path(__file__).parents[2]
SETTINGS = {variable.name for variable in VARIABLES.values()}
# Variables that are not ours, and whose they are.
OTHERS_VARIABLES = {
    "DYNO",  # Heroku's
    "SUDO_USER",  # sudo's
    "FAULT_KILLS",  # the tests'
    "LEDGER_SIZE",
    "IDENTITY_TOKEN",  # the reader's own, in examples
    "BACKEND_TOKEN",  # deploy/compose.yaml's
    "COMPOSE_PROFILES",
    "GRAFANA_PASSWORD",
    "IDENTITY_IMAGE",
    "IDENTITY_REQUIREMENTS",
    "PROMETHEUS_TOKEN",
    "VALKEY_RECEIVER_PASSWORD",
    "OTEL_BSP_MAX_QUEUE_SIZE",  # OpenTelemetry's, which its SDK reads itself
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "REQUESTS_CA_BUNDLE",  # of requests, by which the provider is asked
    "SENTRY_ENVIRONMENT",  # Sentry's
    "SENTRY_RELEASE",
}
# Programs that are not ours: what follows is theirs to check.
OTHERS_PROGRAMS = {
    ".", "awk", "bash", "cd", "cp", "cut", "docker", "echo", "eval", "fly", "git", "grep", "heroku",
    "kubectl", "openssl", "pg_dump", "pg_restore", "pip", "printf", "promtool", "psql", "railway",
    "redis-cli", "rm", "sha256sum", "sleep", "stripe", "umask", "valkey-cli",
}  # fmt: skip
PYTHONS = {"python", "python3", ".venv/bin/python"}
SEPARATORS = {"&&", "||", "|", ";", "&", "(", ")"}
ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
SUBSTITUTION = re.compile(r"\$\(([^()]+)\)")  # within quotes: elsewhere it is split by itself
CURL_DATA = ("-d", "--data", "--data-raw", "--data-binary", "--data-urlencode", "--json", "-F")
PATHS = json.loads(DESCRIPTION)["paths"]


class Command(NamedTuple):
    """One simple command: what it sets before it, and its words."""

    variables: tuple[str, ...]
    words: tuple[str, ...]


def commands(script: str) -> Iterator[Command]:
    """The simple commands of a script, those within `$(…)` included."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if token not in SEPARATORS:
                words.append(token)
                continue
            if words:
                yield _command(words)
                for quoted in (inner for word in words for inner in SUBSTITUTION.findall(word)):
                    yield from commands(quoted)
            words = []


def _command(words: list[str]) -> Command:
    variables = []
    words = [word for word in words if word not in ("{", "}")]
    if words and words[0] == "export":
        words = words[1:]
    while words and (set_ := ASSIGNMENT.match(words[0])):
        variables.append(set_[1])
        words = words[1:]
    if any(word in (">", ">>", "<") for word in words):
        words = words[: next(i for i, word in enumerate(words) if word in (">", ">>", "<"))]
    return Command(tuple(variables), tuple(words))


def problem_of(command: Command, script: str) -> str | None:
    """What is wrong with a command of a script; None if nothing is."""
    unknown = [
        name
        for name in command.variables
        if name not in SETTINGS | OTHERS_VARIABLES and f"${name}" not in script
    ]
    if unknown:
        return f"no setting is called {unknown[0]}"
    if not command.words:
        return None
    program, *arguments = command.words
    if program in PYTHONS:
        return _python_problem(arguments)
    if program == "identity":
        return click_problem(arguments)
    if program == "heroku" and "identity" in arguments:
        return _heroku_run_problem(arguments)
    if program == "curl":
        return _curl_problem(arguments)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        return None if arguments[0] in targets else f"the Makefile has no {arguments[0]}"
    defined = re.search(rf"^{re.escape(program)}\(\)", script, re.MULTILINE)
    if defined or program in OTHERS_PROGRAMS or _of_venv(program):
        return None
    return f"{program} is no program that the docs use"


def _of_venv(program: str) -> bool:
    name = program.removeprefix(".venv/bin/")
    return name != program and (ROOT / program).exists()


def _heroku_run_problem(arguments: list[str]) -> str | None:
    """`heroku run` passes on no option that stands before `--`."""
    before, ours = arguments[: arguments.index("identity")], arguments.index("identity") + 1
    if before[0] != "run" or before[-1] != "--":
        return "`heroku run` has to be told by -- where the command begins"
    return click_problem(arguments[ours:])


def _python_problem(arguments: list[str]) -> str | None:
    if arguments[0] == "-c":
        return None
    if arguments[0] != "-m":
        return None if (ROOT / arguments[0]).exists() else f"there is no {arguments[0]}"
    module, *rest = arguments[1:]
    if module == "app":
        return click_problem(rest)
    return None if importlib.util.find_spec(module) else f"there is no module {module}"


def click_problem(arguments: Iterable[str], *, whole: bool = True) -> str | None:
    """Whether the command line takes these words. `whole`: what is required has to be there."""
    context = click.Context(identity, info_name="identity", **identity.context_settings)
    words = list(arguments)
    while isinstance(context.command, click.Group) and words and not words[0].startswith("-"):
        command = context.command.get_command(context, words[0])
        if command is None:
            return f"{context.command_path} has no command {words[0]}"
        context = click.Context(command, info_name=words.pop(0), parent=context)
    if isinstance(context.command, click.Group) and not words:
        return None
    with pytest.MonkeyPatch.context() as patch:
        # A file that a reader makes is not there.
        patch.setattr(click.File, "convert", lambda self, value, param, ctx: value)
        try:
            context.command.make_context(context.info_name, words, parent=context.parent)
        except click.MissingParameter as error:
            return error.format_message() if whole else None
        except click.exceptions.Exit:
            return None  # --help, --version
        except click.UsageError as error:
            return f"{context.command_path}: {error.format_message()}"
    return None


def _curl_problem(arguments: list[str]) -> str | None:
    method = "post" if any(word in CURL_DATA for word in arguments) else "get"
    for flag in ("-X", "--request"):
        if flag in arguments:
            method = arguments[arguments.index(flag) + 1].lower()
    for word in arguments:
        found = re.match(
            r"(?:\$\w+|https?://[^/$]+)(/(?:v1|webhooks|metrics|healthz|readyz).*)", word
        )
        if found and "api.stripe.com" not in word:
            path = found[1].partition("?")[0]
            return None if _is_served(method, path) else f"{method.upper()} {path} is not served"
    return None


def _is_served(method: str, path: str) -> bool:
    for pattern, item in PATHS.items():
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(pattern)), path):
            return method in item or "$ref" in item
    return False
