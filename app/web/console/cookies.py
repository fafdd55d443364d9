"""The console's cookies: all are kept from scripts, from other sites' requests, and without TLS."""

from __future__ import annotations

from starlette.responses import Response

from app.web.console.console import Console


def give_cookie(
    console: Console, answer: Response, name: str, value: str, *, path: str, seconds: int
) -> None:
    """Have the browser keep a cookie for so long, for the addresses below `path`."""
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        secure=not console.settings.console_insecure_cookie,
        httponly=True,
        # Not strict: a provider's answer, and a link in a message, come from another site.
        samesite="lax",
    )


def take_cookie(console: Console, answer: Response, name: str, *, path: str) -> None:
    """Have the browser forget a cookie, which it does where all but the value is the same."""
    answer.delete_cookie(
        name,
        path=path,
        secure=not console.settings.console_insecure_cookie,
        httponly=True,
        samesite="lax",
    )
