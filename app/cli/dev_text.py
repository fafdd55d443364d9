"""What `dev` and the commands beside it print."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from app.local.stack import ROOT, Stack
from app.stripe.signatures import WEBHOOK_PATH
from app.version import in_clone

DATA = ".data"
# Who may sign in to the console, and the file with the password.
CONSOLE_PERSON, CONSOLE_PASSWORD = "dev", "console-password"


def usual_folder() -> Path:
    """Where `dev` keeps its data: in the clone or, where there is none, in the folder we are in."""
    return ROOT / DATA if in_clone() else Path(DATA)


def this_program() -> str:
    """How a person runs the command line on this machine."""
    called, python = sys.argv[0], Path(sys.executable)
    if Path(called).name == "identity":
        return "identity" if shutil.which("identity") == called else shlex.quote(called)
    if Path.cwd() == ROOT and python.is_relative_to(ROOT):
        return f"{python.relative_to(ROOT)} -m app"
    return f"{shlex.quote(str(python))} -m app"


def this_command(folder: Path) -> str:
    """How a person runs `dev` on this machine, with `--folder` where it is not the usual one."""
    command, folder = f"{this_program()} dev", folder.resolve()
    if folder == usual_folder().resolve():
        return command
    return f"{command} --folder {shlex.quote(str(folder))}"


def what_to_try(stack: Stack, header: Path) -> str:
    """The addresses, and commands to copy. `header` is the file that curl sends."""
    token = f"-H {shlex.quote(f'@{header}')}"
    return (
        _with_sandbox(stack, token) if stack.own_stripe is None else _with_own_account(stack, token)
    )


def _listen(stack: Stack) -> str:
    return f"stripe listen --forward-to {stack.web.removeprefix('http://')}{WEBHOOK_PATH}"


def _console(stack: Stack) -> str:
    return (
        f"  console    {stack.web}/console/   "
        f"name: {CONSOLE_PERSON}; password: in {stack.folder / CONSOLE_PASSWORD}"
    )


def _with_own_account(stack: Stack, token: str) -> str:
    asked = (
        "asked" if "STRIPE_API_KEY" in (stack.own_stripe or {}) else "not asked: no STRIPE_API_KEY"
    )
    return f"""
  web        {stack.web}            logs and data in {stack.folder}
{_console(stack)}
  Stripe     your account in test mode, {asked}
  Redis      {stack.valkey.url}
  ledger     {stack.database_url}

In another terminal:

  {_listen(stack)}
  curl -s {stack.web}/v1/references/user_1 {token}

The settings for other commands, but for your own STRIPE_…:

  eval "$({this_command(stack.folder)} env)"

Ctrl-C takes everything down.
"""


def _with_sandbox(stack: Stack, token: str) -> str:
    web, dev = stack.web, this_command(stack.folder)
    return f"""
  web        {web}            logs and data in {stack.folder}
{_console(stack)}
  sandbox    {stack.sandbox}        a local Stripe Identity
  Redis      {stack.valkey.url}
  ledger     {stack.database_url}

Try, in another terminal:

  # start a verification for user_1, as your backend would
  curl -s {web}/v1/verification_sessions {token} \\
    -d type=document -d client_reference_id=user_1

  # open the "url" it answers in a browser and choose an outcome; or without a browser:
  curl -s {stack.sandbox}/_sandbox/sessions/vs_…/submit -d '{{"outcome": "verified"}}'

  # read how user_1 stands
  curl -s {web}/v1/references/user_1 {token}

  # the same in one, for a new user; `trigger --help` lists what can happen
  {dev} trigger document_expired

  # the settings for every other command
  eval "$({dev} env)"

With a Stripe account, in test mode:

  {_listen(stack)}
  # then stop here, and start again with the secret that it prints, and a test key:
  STRIPE_WEBHOOK_SECRET=whsec_… STRIPE_API_KEY=sk_test_… {dev}

Ctrl-C takes everything down.
"""
