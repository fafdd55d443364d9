"""The environment's variables about the console, beside all the others."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Secret

from app.configuration.console_people import (
    ConsoleUser,
    ProxyUser,
    read_console_users,
    read_header_name,
    read_proxy_secret,
    read_proxy_users,
)
from app.configuration.environment import Environment
from app.configuration.variables import SWITCH, Form, variable

CONSOLE = "Console"

USERS = Form("`name:role:hash`, several separated by spaces or line breaks", read_console_users)
PROXY_USERS = Form("`name:role`, several separated by spaces or line breaks", read_proxy_users)
HEADER = Form("the name of a header", read_header_name)
PROXY_SECRET = Form("16 or more ASCII characters", read_proxy_secret)


@dataclass(frozen=True, slots=True)
class FullEnvironment(Environment):
    """All that the environment says."""

    console_switch: bool | None = variable(
        "CONSOLE",
        SWITCH,
        None,
        "`0` leaves the console out, whatever else is set. See "
        "[The console](../how-to/console.md).",
        group=CONSOLE,
        if_unset="on if `CONSOLE_USERS` or `CONSOLE_PROXY_HEADER` is set",
    )
    console_users: tuple[ConsoleUser, ...] = variable(
        "CONSOLE_USERS",
        USERS,
        (),
        "Who may sign in to the console: the lines that `identity console password` writes. Roles "
        "are `read`, `operate` and `redact`; each may do what the ones before it may.",
        group=CONSOLE,
        if_unset="nobody signs in with a password",
    )
    console_proxy_header: str | None = variable(
        "CONSOLE_PROXY_HEADER",
        HEADER,
        None,
        "The header in which a proxy of yours, which has signed a person in, names them. It needs "
        "`CONSOLE_PROXY_SECRET` and `CONSOLE_PROXY_USERS`.",
        group=CONSOLE,
        if_unset="no header is believed",
    )
    console_proxy_secret: Secret | None = variable(
        "CONSOLE_PROXY_SECRET",
        PROXY_SECRET,
        None,
        "What that proxy sends in the header `Console-Proxy-Secret`, so that nobody who reaches "
        "web past the proxy can name themselves.",
        group=CONSOLE,
        if_unset="none, and `CONSOLE_PROXY_HEADER` needs one",
    )
    console_proxy_users: tuple[ProxyUser, ...] = variable(
        "CONSOLE_PROXY_USERS",
        PROXY_USERS,
        (),
        "The roles of those whom the proxy names.",
        group=CONSOLE,
        if_unset="the proxy's people have no role",
    )
    console_insecure_cookie: bool = variable(
        "CONSOLE_INSECURE_COOKIE",
        SWITCH,
        False,
        "`1` lets the console's cookie pass without TLS, to try the console at "
        "`http://localhost`. Never set it elsewhere.",
        group=CONSOLE,
    )

    @property
    def console(self) -> bool:
        """Whether the console is served."""
        named = bool(self.console_users or self.console_proxy_header)
        return named and self.console_switch is not False

    def console_problems(self) -> list[str]:
        """What does not fit together, in a line each."""
        problems = []
        if self.console_switch and not (self.console_users or self.console_proxy_header):
            problems.append(
                "CONSOLE is 1, and nobody could sign in: set CONSOLE_USERS or CONSOLE_PROXY_HEADER"
            )
        if self.console_proxy_header and not self.console_proxy_secret:
            problems.append(
                "CONSOLE_PROXY_SECRET is not set: without it anybody could send "
                "CONSOLE_PROXY_HEADER's header"
            )
        if self.console_proxy_header and not self.console_proxy_users:
            problems.append(
                "CONSOLE_PROXY_USERS is not set: nobody whom the proxy names has a role"
            )
        if self.console_proxy_header is None and (
            self.console_proxy_users or self.console_proxy_secret
        ):
            problems.append(
                "CONSOLE_PROXY_HEADER is not set, which CONSOLE_PROXY_USERS and "
                "CONSOLE_PROXY_SECRET are for"
            )
        return problems
