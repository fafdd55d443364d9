"""Who looks at the console, and what they may do."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from starlette.requests import Request

from app.configuration.settings import Settings
from app.domain.errors import Rejected
from app.web.console.sessions import COOKIE, ProviderSessions, Sessions

# What a proxy proves itself by.
PROXY_SECRET_HEADER = "console-proxy-secret"  # noqa: S105  # its name, not its value

_IN_SCOPE = "identity.person"


class Role(IntEnum):
    """What a person may do; each may do what the ones before it may."""

    READ = 1
    OPERATE = 2
    REDACT = 3

    @classmethod
    def named(cls, name: str) -> Role:
        """The role of this name: `read`, `operate` or `redact`."""
        return cls[name.upper()]

    def __str__(self) -> str:
        return self.name.lower()


class Person(NamedTuple):
    """Somebody who has signed in."""

    name: str
    role: Role
    by_proxy: bool = False  # and not here: they cannot sign out here either

    def require(self, role: Role) -> None:
        """Raises RoleMissing unless the person has the role, or one that may do more."""
        if self.role < role:
            raise RoleMissing(f"your role is {self.role}, and this needs {role}")


class RoleMissing(Rejected):
    """The person is known, but may not do this."""


class People:
    """Knows the people of CONSOLE_USERS, of CONSOLE_PROXY_USERS, and of the provider."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self.users = {user.name: user for user in settings.console_users}
        lines = {name: f"{user.role}:{user.hash}" for name, user in self.users.items()}
        self.sessions = Sessions(lines, now)
        provider = settings.single_sign_on
        self._by_provider = None if provider is None else ProviderSessions(provider, now)
        self._header = settings.console_proxy_header
        self._secret = str(settings.console_proxy_secret or "").encode()
        self._by_proxy = {user.name: user.role for user in settings.console_proxy_users}

    def of(self, request: Request) -> Person | None:
        """Who sends the request; None if nobody is signed in.

        Raises RoleMissing for somebody whom the proxy names, and CONSOLE_PROXY_USERS does not.
        """
        named = self._named_by_proxy(request)
        if named is not None:
            if named not in self._by_proxy:
                raise RoleMissing(
                    "your proxy has signed you in under a name that has no role here: add it to "
                    "CONSOLE_PROXY_USERS"
                )
            return Person(named, Role.named(self._by_proxy[named]), by_proxy=True)
        cookie = request.cookies.get(COOKIE, "")
        name = self.sessions.name_in(cookie)
        return self._of_provider(cookie) if name is None else self.user(name)

    def user(self, name: str) -> Person:
        """The person of this name of CONSOLE_USERS."""
        return Person(name, Role.named(self.users[name].role))

    def _of_provider(self, cookie: str) -> Person | None:
        """Whom the provider has signed in, if it is the cookie of such a session."""
        found = None if self._by_provider is None else self._by_provider.read(cookie)
        return None if found is None else Person(found.name, Role.named(found.role))

    def _named_by_proxy(self, request: Request) -> str | None:
        """The name in the proxy's header, if it is the proxy that sends it, and sends one."""
        if self._header is None:
            return None
        given = request.headers.get(PROXY_SECRET_HEADER, "").encode()
        names = request.headers.getlist(self._header)
        if not hmac.compare_digest(given, self._secret) or len(names) != 1:
            return None
        return names[0] or None


def remember_person(request: Request, person: Person) -> None:
    """Keep who asks with the request."""
    request.scope[_IN_SCOPE] = person


def person_of(request: Request) -> Person:
    """Who asks, in all that a page or an action does."""
    person: Person = request.scope[_IN_SCOPE]
    return person
