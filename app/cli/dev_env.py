"""`identity dev env`: the settings of the running `dev`, for a shell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from app.cli.dev_text import usual_folder
from app.cli.output import say
from app.local.running import NoneRuns, Running, find_running


def _of_the_group(context: click.Context, option: click.Parameter, value: Any) -> Path:
    """The option, which may stand before the subcommand as well as after it."""
    given = context.parent and context.parent.params.get("folder")
    return Path(value or given or usual_folder())


folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_of_the_group,
    help="Where data and logs are kept.  [default: .data]",
)


def running_in(folder: Path) -> Running:
    """The `dev` that runs in the folder; the error of a command if there is none."""
    try:
        return find_running(folder)
    except NoneRuns as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


@click.command()
@folder_option
def env(folder: Path) -> None:
    """Print what other commands need to work on the running `dev`, as `export NAME=value` lines.

    eval "$(identity dev env)" sets them in a shell: those of the product, and API, STRIPE and
    TOKEN (web's and the local Stripe's addresses, and the bearer token) for curl.

    Exit code 1 if no `dev` runs.
    """
    running = running_in(folder)
    for name, value in running.exports.items():
        say(f"export {name}={shlex.quote(value)}")
    if running.sandbox is None:
        click.echo(
            "This `dev` is your account at Stripe: set STRIPE_WEBHOOK_SECRET and STRIPE_API_KEY "
            "here yourself, as you did for it.",
            err=True,
        )
