"""`python -m deploy.sandbox`: serve the sandbox on a port."""

import argparse
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deploy.sandbox.gate import HANG_UP
from deploy.sandbox.main import Settings, create_app
from deploy.sandbox.storage import UnreadableState

VARIABLE = "SANDBOX_WEBHOOK_SECRET"
_EPILOG = """\
examples:
  python -m deploy.sandbox --port 12111 --webhook http://127.0.0.1:8000/webhooks/stripe
      prints its address, then the signing secret it made up for the webhook

  point the stripe package at it:
      stripe.StripeClient("sk_test_any", base_addresses={"api": "http://127.0.0.1:12111"})

  be the person who is verified: open a session's `url` in a browser, or
      curl -d '{"outcome": "verified"}' http://127.0.0.1:12111/_sandbox/sessions/vs_.../submit

  disturb the delivery of events:
      curl -d '{"duplicate": 0.2, "reorder": 0.2}' http://127.0.0.1:12111/_sandbox/chaos

  be another team, a connected account, or an account of an organization: the key
  sk_test_acct_other_1 is of acct_other; the header Stripe-Account: acct_theirs connects it;
  sk_org_test_1 with Stripe-Context: acct_a/acct_b

  under /_sandbox: sessions, sessions/ID/submit, sessions/ID/review, chaos, deliveries, retries,
  events/ID/resend, webhooks, event_destinations, accounts, clock, faults, limits, redaction,
  verification_flows/ID
"""


class _Protocol(HttpToolsProtocol):
    """Lets the application close a connection without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {HANG_UP: {"close": self.transport.abort}}


class _Server(uvicorn.Server):
    """Ends with 0 on SIGINT and SIGTERM: uvicorn itself would raise the signal once more."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal. 0: was stopped; 1: cannot start; 2: bad arguments."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.secret is not None and given.webhook is None:
        parser.error("--secret is of no use without --webhook")
    told = given.secret or _secret_of_environment(parser)
    try:
        listener = _listen(given.host, given.port)
    except OSError as error:
        return _fail(f"cannot listen on {given.host}:{given.port}: {error.strerror}")
    address = _address(given.host, listener.getsockname()[1])
    secret = told or f"whsec_{secrets.token_hex(16)}"
    settings = Settings(
        base_url=given.public_url or address,
        webhook=given.webhook,
        secret=secret,
        seed=given.seed,
        state_file=given.state,
        host=given.host,
    )
    try:
        app = create_app(settings)
    except (UnreadableState, OSError) as error:
        listener.close()
        return _fail(f"cannot use the state file {given.state}: {error}")
    sys.stdout.write(f"{address}\n")
    if given.webhook is not None and told is None:
        sys.stdout.write(f"signing secret of {given.webhook}: {secret}\n")
    sys.stdout.flush()
    _serve(app, listener)
    return 0


def _secret_of_environment(parser: argparse.ArgumentParser) -> str | None:
    """What other users of this machine cannot see, as they see a command line."""
    text = os.environ.get(VARIABLE)
    try:
        return _secret(text) if text else None
    except argparse.ArgumentTypeError as error:
        parser.error(f"{VARIABLE}: {error}")


def _serve(app: Starlette, listener: socket.socket) -> None:
    """Serve until a signal."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        # The application sets its own clock's Date on its answers.
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    _Server(config).run(sockets=[listener])


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.sandbox",
        description="A local Stripe Identity: Stripe's API for VerificationSessions, events and "
        "webhook endpoints, signed deliveries, and everything that may go wrong with them. "
        "It accepts any key of Stripe's form (sk_test_..., sk_live_..., rk_...).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port", type=_port, default=12111, help="0 takes a free one; default: %(default)s"
    )
    parser.add_argument("--webhook", type=_url, metavar="URL", help="where to send events")
    parser.add_argument(
        "--secret",
        type=_secret,
        metavar="whsec_…",
        help=f"its signing secret; default: that of {VARIABLE}, or a new one",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="make ids, people and chaos the same in every run"
    )
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="keep everything there across restarts"
    )
    parser.add_argument(
        "--public-url",
        type=_url,
        metavar="URL",
        help="where a browser reaches the sandbox, if not at the address it listens on",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"not an http or https address: {text}")
    return text.rstrip("/")


def _secret(text: str) -> str:
    if not text.startswith("whsec_") or not text.isascii():
        raise argparse.ArgumentTypeError("a signing secret starts with whsec_")
    return text


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises OSError."""
    family, kind, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    # From here on connections wait, so that the printed address can be used at once.
    listener.listen(1024)
    return listener


def _address(host: str, port: int) -> str:
    """The address as a client on this machine writes it."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (printed, not bound)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


if __name__ == "__main__":
    sys.exit(main())
