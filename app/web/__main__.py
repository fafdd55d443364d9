"""`python -m app.web`: serves the web application on PORT."""

from __future__ import annotations

import os
import signal
import sys

import uvicorn

from app.domain.errors import Misconfigured
from app.settings import WEB_NEEDS, Settings
from app.web.protocol import BoundedHttpProtocol

# Seconds a stopping server waits for requests: Heroku kills after 30.
DRAIN_TIMEOUT = 20
# Seconds an idle connection is kept; longer than usual routers keep theirs, so that they close it.
KEEP_ALIVE_TIMEOUT = 95


def main() -> None:
    """Exit code 0 after SIGTERM, 2 if a setting is missing or wrong."""
    try:
        settings = Settings.from_environment(os.environ, needed=WEB_NEEDS)
    except Misconfigured as error:
        print(*error.problems, sep="\n", file=sys.stderr)  # noqa: T201  # before logs are set up
        sys.exit(2)
    # Once it has drained, uvicorn raises the signal again for whoever was asked before it.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))
    uvicorn.run(
        "app.web.main:from_environment",
        factory=True,
        host=os.environ.get("HOST", "0.0.0.0"),  # noqa: S104  # a dyno's router is another host
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


if __name__ == "__main__":
    main()
