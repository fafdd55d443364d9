"""What every answer of the console says to the browser, and which requests may change something."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.errors import Rejected

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Other sites learn nothing. With `no-referrer`, browsers would send `Origin: null` with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class CrossSite(Rejected):
    """The request was not made by a page of the console: nothing was done."""

    def __init__(self) -> None:
        """The text is for a person whose browser or proxy is at fault."""
        super().__init__(
            "this request does not come from a page of the console, so nothing was done. If it "
            "did, use a current browser, and have your proxy pass on Host, Origin and "
            "Sec-Fetch-Site"
        )


def refuse_cross_site(request: Request) -> None:
    """Raises CrossSite for a request that another site's page may have made.

    Browsers say where a request comes from, and no page can have them say otherwise:
    https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header. The scheme is not compared, as a
    proxy may take TLS off.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        same = site == "same-origin"
    else:
        same = _host_of(request.headers.get("origin", "")) == request.headers.get("host", "")
    if not same:
        raise CrossSite


def _host_of(origin: str) -> str | None:
    """The host and port of an origin; None for `null`, and for what is none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


class ProtectedAnswers:
    """ASGI middleware: puts HEADERS on every answer, which no cache keeps unless it says so."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` answers the requests."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_protected)
