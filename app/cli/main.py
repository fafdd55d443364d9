"""`identity`, or `python -m app`: all commands, and their exit codes."""

from __future__ import annotations

import sys

import click
from redis.exceptions import RedisError

from app.cli.audit import audit
from app.cli.backfill import backfill
from app.cli.console import console
from app.cli.demo import demo
from app.cli.dev import dev
from app.cli.dlq import dlq
from app.cli.doctor import doctor
from app.cli.effects import effects
from app.cli.import_ import import_
from app.cli.migrate import migrate
from app.cli.notify import notify
from app.cli.operations import operations
from app.cli.orphans import orphans
from app.cli.queue import queue
from app.cli.references import references
from app.cli.references_allow import allow
from app.cli.references_forget import forget
from app.cli.status import status
from app.cli.sweep import sweep
from app.domain.errors import IdentityError, Misconfigured
from app.ledger.engine import LedgerTooNew
from app.version import version


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version(), message="%(prog)s %(version)s")
def identity() -> None:
    """Keeps your record of each user in step with Stripe Identity.

    Start with `demo`, which needs no Stripe account; then `dev`, which stays up.
    """


for command in (
    demo,
    dev,
    migrate,
    status,
    queue,
    dlq,
    operations,
    effects,
    doctor,
    notify,
    backfill,
    import_,
    sweep,
    orphans,
    references,
    console,
    audit,
):
    identity.add_command(command)
references.add_command(allow)
references.add_command(forget)


def main() -> None:
    """Exit code 0; 1 if something failed; 2 if the call, a setting or the release is wrong."""
    try:
        identity(prog_name="identity")
    except Misconfigured as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(2)
    except LedgerTooNew as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except IdentityError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except RedisError as error:  # such as no right to a command; its text may quote what was sent
        click.echo(f"Redis refuses what it is asked ({type(error).__name__})", err=True)
        sys.exit(1)
