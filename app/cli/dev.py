"""`identity dev`: the whole product on this machine, until Ctrl-C."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from app.cli.dev_env import env, folder_option
from app.cli.dev_text import CONSOLE_PASSWORD, CONSOLE_PERSON, what_to_try
from app.cli.dev_trigger import trigger
from app.cli.output import say, say_if_heard
from app.configuration.settings import Settings
from app.domain.errors import Misconfigured
from app.local.ports import port_problem
from app.local.running import OWN_ACCOUNT, published, write_private
from app.local.signals import StopRequest, ignore_stop_signals, raise_on_stop_signals
from app.local.stack import LOCAL_WEBHOOK_SECRET, NotStarted, Secrets, Stack
from app.local.valkey import free_port

# In the folder: the secrets, and the header that curl reads.
SECRETS, HEADER = "secrets.json", "authorization"
# Of web, the sandbox and Valkey, unless they are in use. Not 6379: a Redis of one's own has that.
WEB_PORT, SANDBOX_PORT, VALKEY_PORT = 8000, 12111, 6399
INTERRUPTED = 130  # the exit code of what Ctrl-C ended before it was done

port_type = click.IntRange(0, 65535)


@click.group(invoke_without_command=True)
@click.option(
    "--port", type=port_type, help=f"The web process' port.  [default: {WEB_PORT}, or a free one]"
)
@click.option(
    "--sandbox-port",
    type=port_type,
    help=f"The local Stripe's port.  [default: {SANDBOX_PORT}, or a free one]",
)
@click.option(
    "--valkey-port", type=port_type, help=f"Valkey's.  [default: {VALKEY_PORT}, or a free one]"
)
@folder_option
@click.pass_context
def dev(
    context: click.Context,
    port: int | None,
    sandbox_port: int | None,
    valkey_port: int | None,
    folder: Path,
) -> None:
    """Start Valkey, a local Stripe Identity, web and workers, and stay until Ctrl-C.

    Data and logs stay in .data/, and the next start uses them again. Beside it, in another
    terminal, `dev env` prints the settings that commands need, and `dev trigger` acts as a user.

    With a Stripe account, set STRIPE_WEBHOOK_SECRET to what `stripe listen` prints, and
    STRIPE_API_KEY to a test key: it is then your account in test mode, without the local Stripe,
    and with data of its own.

    Exit code 0 after Ctrl-C; 130 if that came before all was up; 1 if something did not start, or
    ended by itself.
    """
    if context.invoked_subcommand is not None:
        return
    own_stripe = _own_stripe(os.environ)
    if own_stripe is not None:
        folder /= OWN_ACCOUNT
    stop = raise_on_stop_signals()
    try:
        with _named_faults(folder):
            _keep_to_owner(folder)
            secrets = _secrets(folder)
            stack = Stack(
                folder.resolve(),
                secrets,
                web_port=_choose("web", port, WEB_PORT),
                sandbox_port=None if own_stripe else _choose("sandbox", sandbox_port, SANDBOX_PORT),
                valkey_port=_choose("Valkey", valkey_port, VALKEY_PORT),
                own_stripe=own_stripe,
                extra=_console(secrets),
            )
            was_up = _run(stack, stop)
    except KeyboardInterrupt:
        was_up = False
    ignore_stop_signals()
    if not was_up:
        say_if_heard("interrupted before all was up; nothing is left running.")
        raise SystemExit(INTERRUPTED)
    say_if_heard(f"stopped. Data stays in {folder}; delete it to start afresh.")


dev.add_command(env)
dev.add_command(trigger)


def _run(stack: Stack, stop: StopRequest) -> bool:
    """Until a signal asks to stop, or a process ends by itself; whether all was up by then."""
    was_up = False
    with stack:
        try:
            stack.start(lambda what: say(f"starting {what} …"))
            _write_private_files(stack)
            with published(stack):
                say(what_to_try(stack, stack.folder / HEADER))
                was_up = True
                _watch(stack, stop)
        except KeyboardInterrupt:
            pass  # what was started is stopped at the end of the outer block
        if was_up:
            say_if_heard("\nstopping: workers and web first, Valkey last …")
    return was_up


def _watch(stack: Stack, stop: StopRequest) -> None:
    while not stop.received:
        dead = stack.dead()
        if dead is not None:
            raise NotStarted(f"{dead} has ended; its log is {stack.folder / (dead + '.log')}")
        time.sleep(0.5)


@contextmanager
def _named_faults(folder: Path) -> Iterator[None]:
    """One line for what did not start, and for a folder that cannot be used."""
    try:
        yield
    except (NotStarted, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or folder}: {error.strerror or error}. "
            "Mend this, or choose another --folder"
        ) from None


def _choose(name: str, wanted: int | None, usual: int) -> int:
    """The port that was asked for, the usual one, or a free one if that is in use."""
    if wanted is not None:
        return wanted or free_port()
    if port_problem(usual) is None:
        return usual
    port = free_port()
    say(f"port {usual} is in use: {name} is at port {port}")
    return port


def _own_stripe(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The settings of the person's own account at Stripe; None if no signing secret is set.

    Nor if it is one of ours: `dev env` has set it. Raises Misconfigured if one is wrong, or the key
    is not a test key.
    """
    secret = environment.get("STRIPE_WEBHOOK_SECRET", "")
    if not secret or secret.startswith(LOCAL_WEBHOOK_SECRET):
        return None
    names = ("STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY", "STRIPE_API_BASE")
    own = {name: environment[name] for name in names if environment.get(name)}
    if Settings.from_environment(own).livemode:
        raise Misconfigured(["STRIPE_API_KEY is a live key: `dev` takes a test key only"])
    return own


def _keep_to_owner(folder: Path) -> None:
    """Create the folder. Whatever this process and its children create is for its owner only.

    A folder that others use too stays open to them; one of an earlier `dev` is closed.
    """
    os.umask(0o077)
    ours = not folder.exists() or (folder / SECRETS).exists()
    folder.mkdir(parents=True, exist_ok=True)
    if ours:
        folder.chmod(0o700)


def _secrets(folder: Path) -> Secrets:
    """The folder's secrets, created at its first start, so that printed commands keep working."""
    file = folder / SECRETS
    if file.exists():
        try:
            return Secrets(**json.loads(file.read_text()))
        except (ValueError, TypeError):
            raise Misconfigured(
                [f"{file} cannot be read: delete it, and the next start creates it again"]
            ) from None
    secrets = Secrets.random()
    write_private(file, json.dumps(asdict(secrets)))
    return secrets


def _console(secrets: Secrets) -> dict[str, str]:
    """The settings of the console: for one person, who comes without TLS."""
    from app.configuration.passwords import hash_password  # no other command needs what it imports

    person = f"{CONSOLE_PERSON}:redact:{hash_password(secrets.api_token)}"
    return {"CONSOLE_USERS": person, "CONSOLE_INSECURE_COOKIE": "1"}


def _write_private_files(stack: Stack) -> None:
    """Keep what curl sends as its token in a file, as others can read a command line.

    And the console's password, so that it stands in no terminal.
    """
    token = stack.secrets.api_token
    write_private(stack.folder / HEADER, f"Authorization: Bearer {token}\n")
    write_private(stack.folder / CONSOLE_PASSWORD, f"{token}\n")
