"""`identity dev`: the whole product on this machine, until Ctrl-C."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import click

from app.domain.errors import Misconfigured
from app.local.signals import ignore_stop_signals, raise_on_stop_signals
from app.local.stack import ROOT, NotStarted, Secrets, Stack
from app.settings import Settings

FOLDER = ROOT / ".data"


@click.command()
@click.option("--port", default=8000, show_default=True, help="The web process' port.")
@click.option("--sandbox-port", default=12111, show_default=True, help="The local Stripe's port.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=FOLDER,
    help="Where data and logs are kept.",
)
def dev(port: int, sandbox_port: int, folder: Path) -> None:
    """Start Valkey, a local Stripe Identity, web and workers, and stay until Ctrl-C.

    Data and logs stay in .data/, and the next start uses them again. With a Stripe account, set
    STRIPE_WEBHOOK_SECRET to what `stripe listen` prints, to accept real test-mode events too.
    """
    secrets = _secrets(folder)
    own_secret = os.environ.get("STRIPE_WEBHOOK_SECRET", "")
    if own_secret:
        # Raises Misconfigured if it is wrong.
        Settings.from_environment({"STRIPE_WEBHOOK_SECRET": own_secret})
        secrets = replace(secrets, webhook=f"{secrets.webhook},{own_secret}")
    stack = Stack(folder.resolve(), secrets, web_port=port, sandbox_port=sandbox_port)
    raise_on_stop_signals()
    with stack:
        try:
            stack.start(lambda what: click.echo(f"starting {what} …"))
            click.echo(_what_to_try(stack))
            while (dead := stack.dead()) is None:
                time.sleep(0.5)
            raise NotStarted(f"{dead} has ended; its log is {folder / (dead + '.log')}")
        except (NotStarted, RuntimeError) as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            click.echo("\nstopping: workers and web first, Valkey last …")
    ignore_stop_signals()
    click.echo(f"stopped. Data stays in {folder}; delete it to start afresh.")


def _secrets(folder: Path) -> Secrets:
    """The folder's secrets, created at its first start, so that printed commands keep working."""
    file = folder / "secrets.json"
    if file.exists():
        try:
            return Secrets(**json.loads(file.read_text()))
        except (ValueError, TypeError):
            raise Misconfigured(
                [f"{file} cannot be read: delete it, and the next start creates it again"]
            ) from None
    secrets = Secrets.random()
    folder.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(asdict(secrets)))
    return secrets


def _what_to_try(stack: Stack) -> str:
    keys, web, sandbox = stack.secrets, stack.web, stack.sandbox
    return f"""
  web        {web}            logs and data in {stack.folder}
  sandbox    {sandbox}        a local Stripe Identity
  Redis      {stack.valkey.url}
  ledger     {stack.database_url}

Try, in another terminal:

  # start a verification for user_1, as your backend would
  curl -s {web}/v1/verification_sessions -H 'Authorization: Bearer {keys.api_token}' \\
    -d type=document -d client_reference_id=user_1

  # open the "url" it answers in a browser and choose an outcome; or without a browser:
  curl -s {sandbox}/_sandbox/sessions/vs_…/submit -d '{{"outcome": "verified"}}'

  # read how user_1 stands
  curl -s {web}/v1/references/user_1 -H 'Authorization: Bearer {keys.api_token}'

With a Stripe account, in test mode:

  stripe listen --forward-to {web.removeprefix("http://")}/webhooks/stripe
  # then stop here, and start again with the secret that it prints:
  STRIPE_WEBHOOK_SECRET=whsec_… python -m app dev

Ctrl-C takes everything down.
"""
