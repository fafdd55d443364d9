"""Whom a request may call the sandbox by: no page of another site reaches it under its own name."""

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class KnownHosts:
    """ASGI middleware: refuses a request whose Host is a name that is not one of the sandbox's.

    A site whose name is made to lead to this machine (DNS rebinding) could else have its visitor's
    browser act here. It needs a name for that: an address written in digits is never refused.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        """`names` are known beside `localhost`."""
        self._app = app
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] == "http" and not self._knows(Headers(scope=scope).get("host", "")):
            message = "this host name is not the sandbox's: start it with --public-url"
            answer = JSONResponse({"error": {"message": message}}, 421)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        name = (
            host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        )
        return not host or name.lower() in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
