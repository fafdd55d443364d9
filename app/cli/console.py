"""`identity console`: the people of the console."""

from __future__ import annotations

import sys

import click

from app.cli.output import say
from app.configuration.console_people import PERSON, PERSON_FORM, ROLES


@click.group()
def console() -> None:
    """Prepare the console, which `web` serves at /console."""


def _name(context: click.Context, option: click.Parameter, value: str) -> str:
    if not PERSON.match(value):
        raise click.BadParameter(f"a name has {PERSON_FORM}")
    return value


@console.command()
@click.argument("name", callback=_name)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="read",
    show_default=True,
    help="What the person may do.",
)
def password(name: str, role: str) -> None:
    """Make the line of CONSOLE_USERS for NAME, with the hash of a password.

    It asks for the password twice; if standard input is no terminal, its first line is the
    password. Only the hash is printed, and nothing is kept.
    """
    # No other command needs what this imports.
    from app.configuration.passwords import MAX_PASSWORD, MIN_PASSWORD, hash_password

    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not MIN_PASSWORD <= len(given) <= MAX_PASSWORD:
        raise click.ClickException(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters: nothing was made"
        )
    say(f"{name}:{role}:{hash_password(given)}")
    click.echo("Add this to CONSOLE_USERS, in single quotes, and restart web.", err=True)
