"""The command line as a whole: every command teaches, and every ending has its exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from redis.exceptions import ResponseError

from app.cli import main as module
from app.cli.main import identity, main
from app.domain.errors import IdentityError, Misconfigured


def walk(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that name it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from walk(child, *path, name)


COMMANDS = dict(walk(identity))
every_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def test_the_dead_letters_have_their_four_commands() -> None:
    assert {("dlq", name) for name in ("list", "show", "replay", "discard")} <= set(COMMANDS)


@every_command
def test_every_command_says_what_it_is_for(path: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        shown = CliRunner().invoke(identity, [*path, flag], prog_name="identity")
        assert shown.exit_code == 0
        first = next(line for line in (COMMANDS[path].help or "").splitlines() if line)
        assert len(first) > 20
        assert first[-1] in ".:"
        assert first.split(",")[0] in " ".join(shown.output.split())


@every_command
def test_every_option_says_what_it_does(path: tuple[str, ...]) -> None:
    unsaid = [
        param.name
        for param in COMMANDS[path].params
        if isinstance(param, click.Option) and not param.help
    ]
    assert unsaid == []


@pytest.mark.parametrize("path", [path for path in COMMANDS if path[:1] == ("dlq",) and path[1:]])
def test_every_command_of_the_dead_letters_takes_queue_and_json(path: tuple[str, ...]) -> None:
    names = {option for param in COMMANDS[path].params for option in param.opts}
    assert {"--queue", "--json"} <= names


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (Misconfigured(["A is not set", "B is wrong"]), 2, "A is not set\nB is wrong\n"),
        (IdentityError("it is away"), 1, "it is away\n"),
        (click.UsageError("no such thing"), 2, "Error: no such thing\n"),
        (click.ClickException("it failed"), 1, "Error: it failed\n"),
        (KeyboardInterrupt(), 1, "\nAborted!\n"),
        # The client adds the command to an answer's text, and so what was sent.
        (
            ResponseError("ERR in HSET user-1"),
            1,
            "Redis refuses what it is asked (ResponseError)\n",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_failure_has_its_exit_code_and_its_lines(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    told: str,
) -> None:
    @click.group()
    def broken() -> None:
        """A command that fails."""

    @broken.command()
    def now() -> None:
        """Fail."""
        raise error

    monkeypatch.setattr(module, "identity", broken)
    monkeypatch.setattr(sys, "argv", ["identity", "now"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(told)
    assert "Traceback" not in said.err
