"""How what has no end by itself, a stream of events, is told that the server stops."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Scope

_IN_SCOPE = "identity.ends"


def when_server_stops(scope: Scope, end: Callable[[], object]) -> None:
    """Have `end` called, in the event loop, if the server stops while the request is answered."""
    scope[_IN_SCOPE] = end


def server_stops(scope: Scope) -> None:
    """Tell the request's stream, if it is one."""
    end = scope.get(_IN_SCOPE)
    if end is not None:
        end()
