"""`python -m app.web`: serves the web application on PORT."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from socket import socket

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.configuration.credentials import SigningSecret
from app.configuration.features import switched_off
from app.configuration.settings import LEDGER_NEEDS, WEB_NEEDS, Settings
from app.domain.errors import Misconfigured
from app.domain.modes import mode_name
from app.logs import get_logger
from app.starting import STOP_SIGNALS, ExitRequest, ignore_stop_signals, look_at_schema, start
from app.stripe.signatures import WEBHOOK_PATH
from app.version import version
from app.web.connections import raise_file_limit
from app.web.protocol import BoundedHttpProtocol

log = get_logger("web")

# Seconds a stopping server waits for requests: Heroku kills after 30.
DRAIN_TIMEOUT = 20
# Seconds an idle connection is kept; longer than usual routers keep theirs, so that they close it.
KEEP_ALIVE_TIMEOUT = 95

PROGRAM = "python -m app.web"
HELP = f"""
usage: {PROGRAM} [--help] [--version] [--only console]

Takes Stripe's deliveries at POST {WEBHOOK_PATH}, and serves the API under /v1, and /metrics,
/healthz, /readyz and /openapi.json; and the console at /console, where people are named for it.

Options:
  --only console          serves the console and /healthz, and nothing else

Settings, in the environment (docs/reference/settings.md has all):
  STRIPE_WEBHOOK_SECRET   needed, but for the console: the webhook endpoint's signing secrets
  DATABASE_URL            needed: the ledger, for /v1 and /readyz; a delivery does not wait for it,
                          and is taken while it is away
  REDIS_URL               the queue; default redis://127.0.0.1:6379/0
  CONSOLE_USERS           who may sign in to the console; unset: no console
  API_TOKENS              unset: /v1 and /metrics refuse every call
  STRIPE_API_KEY          unset: no call that needs Stripe can be made
  HOST, PORT              where it listens; default 0.0.0.0 and 8000
  WEB_CONCURRENCY         how many processes serve; default 1
  LOG_FORMAT              json (default) or text

Signals:
  SIGTERM, SIGINT         take no new request, answer those under way within {DRAIN_TIMEOUT} s, end

Exit codes:
  0   ended by a signal
  2   a setting is missing or wrong, an argument is unknown, or this release is too old for the
      ledger's schema; each is a line on standard error
  3   it cannot listen on HOST and PORT; the log says why
"""


def main(arguments: Sequence[str] = ()) -> None:
    """Exit code 0 after a signal, 2 if a setting is wrong or the release too old for the ledger."""
    rest = _without_only(arguments)
    only_console = len(rest) < len(arguments)
    settings = start(
        PROGRAM,
        HELP,
        needed=LEDGER_NEEDS if only_console else WEB_NEEDS,
        prepare=_require_console if only_console else lambda settings: None,
        arguments=rest,
        takes="--help, --version and --only console",
    )
    look_at_schema(settings)
    if only_console:
        say_console_starts(settings)
    else:
        say_what_starts(settings)
    raise_file_limit()
    serve(settings, "console_from_environment" if only_console else "from_environment")
    ignore_stop_signals()


def serve(settings: Settings, factory: str) -> None:
    """Serve what this function of app.web.main makes, until a signal.

    As uvicorn.run does, which has no place to look whether a signal came before it listened for
    them. Exits with 3 if that cannot start, or cannot listen.
    """
    # Once it has drained, uvicorn raises the signals again for whoever had them before.
    exit_request = ExitRequest(*STOP_SIGNALS)
    config = uvicorn.Config(
        f"app.web.main:{factory}",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.web_concurrency,
        http=BoundedHttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT,
        timeout_graceful_shutdown=DRAIN_TIMEOUT,
    )
    if config.workers > 1:
        leader = Multiprocess(config, sockets=[config.bind_socket()])
        exit_request.check()
        leader.run()
        return
    config.load_app()
    server = Server(config, exit_request)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class Server(uvicorn.Server):
    """uvicorn's, which ends if it was asked to before it took the signals over."""

    def __init__(self, config: uvicorn.Config, exit_request: ExitRequest) -> None:
        """`exit_request` has heard what came before."""
        super().__init__(config)
        self._exit_request = exit_request

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """By now they are uvicorn's."""
        self._exit_request.check()
        await super().startup(sockets)


def _without_only(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments without `--only console`, if they begin with it."""
    for only in (("--only", "console"), ("--only=console",)):
        if tuple(arguments[: len(only)]) == only:
            return arguments[len(only) :]
    return arguments


def _require_console(settings: Settings) -> None:
    if not settings.console:
        problem = "CONSOLE_USERS is not set, or CONSOLE is 0: there is no console to serve"
        raise Misconfigured([problem])


def say_what_starts(settings: Settings) -> None:
    """One line: where it will listen, what it takes, and what the settings leave off."""
    log.info(
        "web starting",
        version=version(),
        address=f"{settings.host}:{settings.port}",
        process_count=settings.web_concurrency,
        webhook_path=WEBHOOK_PATH,
        signing_secret_modes=[_mode_of(secret) for secret in settings.webhook_secrets],
        stripe_key_mode=mode_name(settings.livemode) if settings.stripe_api_key else None,
        api_token_names=[token.name for token in settings.api_tokens],
        off=switched_off(settings),
    )


def say_console_starts(settings: Settings) -> None:
    """One line: where it will listen, and for whom."""
    by_password = [user.name for user in settings.console_users]
    by_proxy = [user.name for user in settings.console_proxy_users]
    log.info(
        "starting the console",
        version=version(),
        address=f"{settings.host}:{settings.port}",
        process_count=settings.web_concurrency,
        people=[*by_password, *by_proxy],
        provider=None if settings.single_sign_on is None else settings.single_sign_on.host,
    )


def _mode_of(secret: SigningSecret) -> str:
    return "both" if secret.livemode is None else mode_name(secret.livemode)


if __name__ == "__main__":
    main(sys.argv[1:])
