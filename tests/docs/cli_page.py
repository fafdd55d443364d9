"""docs/reference/cli.md, from the commands and processes themselves: each one's `--help`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from app.cli.main import identity
from app.web import __main__ as web
from tests.docs.markdown import notice, plain
from workers import __main__ as workers

TOP = f"""# Command line

{notice("app/cli, app/web and workers")}

`identity`, or `python -m app` in a clone that is not installed. Commands read the same
[settings](settings.md) as the processes, so run them where those are set.

- Results go to standard output; progress, questions and log lines go to standard error.
- With `--json`, a command prints JSON and nothing else.
- `identity --version` says which release it is; `--help` explains each command.
- The exit code is 0 if all went well, 1 if something failed, 2 if the call or a setting is wrong,
  or this release is too old for the ledger ([Which versions work on which
  schema](../how-to/upgrade.md#which-versions-work-on-which-schema)).
- `…` in an id or a text stands for what you fill in.
"""


def page() -> str:
    """The whole page."""
    root = click.Context(identity, info_name="identity", **identity.context_settings)
    return "\n".join([TOP, *(section(context) for context in below(root)), processes()])


def processes() -> str:
    """What the processes of a deployment say of themselves."""
    shown = [
        f"### {program}\n\n```text\n{help.strip()}\n```\n"
        for program, help in (("python -m app.web", web.HELP), ("python -m workers", workers.HELP))
    ]
    return "\n".join(["## Processes\n", *shown])


def below(context: click.Context) -> Iterator[click.Context]:
    """Every command under a group, groups before their commands."""
    assert isinstance(context.command, click.Group)
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield inner
        if isinstance(command, click.Group):
            yield from below(inner)


def section(context: click.Context) -> str:
    """One command: heading, usage, what it does, options."""
    command = context.command
    depth = context.command_path.count(" ") + 1
    lines = [f"{'#' * depth} {context.command_path}", "", "```text"]
    lines += [" ".join([context.command_path, *command.collect_usage_pieces(context)]), "```", ""]
    lines += [plain(described(command)), ""]
    options = [option(parameter, context) for parameter in command.get_params(context)]
    lines += [line for line in options if line is not None]
    return "\n".join(lines).rstrip() + "\n"


def described(command: click.Command) -> str:
    """The help text as paragraphs of Markdown."""
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    return text.replace("\b\n", "").strip()


def option(parameter: click.Parameter, context: click.Context) -> str | None:
    """One line of the list; None for `--help`, and for what the usage says already."""
    record = parameter.get_help_record(context)
    if record is None or "--help" in parameter.opts:
        return None
    names, meaning = record
    if isinstance(parameter, click.Argument) and isinstance(parameter.type, click.Choice):
        meaning = f"{meaning} One of {', '.join(f'`{each}`' for each in parameter.type.choices)}."
    return f"- `{names}`: {plain(meaning.strip())}" if meaning else None
