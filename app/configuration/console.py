"""The environment's variables about the console, beside all the others."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Secret

from app.configuration.console_people import (
    ClaimedRole,
    ConsoleUser,
    ProxyUser,
    read_claimed_roles,
    read_console_users,
    read_header_name,
    read_proxy_secret,
    read_proxy_users,
)
from app.configuration.environment import Environment
from app.configuration.single_sign_on import (
    SingleSignOn,
    read_claim,
    read_client_id,
    read_client_secret,
    read_console_url,
    read_issuer,
    read_scopes,
    single_sign_on_problems,
)
from app.configuration.variables import SWITCH, Form, variable

CONSOLE = "Console"
SINGLE_SIGN_ON = "Single sign-on for the console"

USERS = Form("`name:role:hash`, several separated by spaces or line breaks", read_console_users)
PROXY_USERS = Form("`name:role`, several separated by spaces or line breaks", read_proxy_users)
HEADER = Form("the name of a header", read_header_name)
PROXY_SECRET = Form("16 or more ASCII characters", read_proxy_secret)
ISSUER = Form("an `https://` address, exactly as the provider writes it", read_issuer)
CONSOLE_URL = Form("an `https://` address without a path", read_console_url)
CLIENT_ID = Form("what the provider calls this client", read_client_id)
CLIENT_SECRET = Form("16 or more ASCII characters", read_client_secret)
CLAIM = Form("the name of a claim", read_claim)
CLAIMED_ROLES = Form(
    "`value:role`, several separated by spaces or line breaks; `%20` for a space in a value",
    read_claimed_roles,
)
SCOPES = Form("scopes, separated by spaces, with `openid` among them", read_scopes)


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
        if_unset="on if `CONSOLE_USERS`, `CONSOLE_PROXY_HEADER` or `CONSOLE_OIDC_ISSUER` is set",
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

    console_oidc_issuer: str | None = variable(
        "CONSOLE_OIDC_ISSUER",
        ISSUER,
        None,
        "The OpenID Connect provider at which people sign in. It needs the extra `oidc`, and all "
        "of the next four. See [The console](../how-to/console.md#single-sign-on).",
        group=SINGLE_SIGN_ON,
        if_unset="no single sign-on",
    )
    console_oidc_client_id: str | None = variable(
        "CONSOLE_OIDC_CLIENT_ID",
        CLIENT_ID,
        None,
        "The client that you have made for the console at the provider.",
        group=SINGLE_SIGN_ON,
        if_unset="none, and `CONSOLE_OIDC_ISSUER` needs one",
    )
    console_oidc_client_secret: Secret | None = variable(
        "CONSOLE_OIDC_CLIENT_SECRET",
        CLIENT_SECRET,
        None,
        "That client's secret.",
        group=SINGLE_SIGN_ON,
        if_unset="none, and `CONSOLE_OIDC_ISSUER` needs one",
    )
    console_url: str | None = variable(
        "CONSOLE_URL",
        CONSOLE_URL,
        None,
        "The address at which browsers reach the console, as `https://identity.example.com`. The "
        "provider leads people back to `/console/sign-in/oidc/callback` there.",
        group=SINGLE_SIGN_ON,
        if_unset="none, and `CONSOLE_OIDC_ISSUER` needs one",
    )
    console_oidc_roles: tuple[ClaimedRole, ...] = variable(
        "CONSOLE_OIDC_ROLES",
        CLAIMED_ROLES,
        (),
        "Which values of `CONSOLE_OIDC_ROLE_CLAIM` give which role. Of several, the highest "
        "counts; whoever has none is refused.",
        group=SINGLE_SIGN_ON,
        if_unset="nobody has one, and `CONSOLE_OIDC_ISSUER` needs some",
    )
    console_oidc_role_claim: str | None = variable(
        "CONSOLE_OIDC_ROLE_CLAIM",
        CLAIM,
        None,
        "The claim that decides about roles: a text or a list of texts, as `groups`.",
        group=SINGLE_SIGN_ON,
        if_unset="the person's claim: then `CONSOLE_OIDC_ROLES` names people",
    )
    console_oidc_person_claim: str = variable(
        "CONSOLE_OIDC_PERSON_CLAIM",
        CLAIM,
        "email",
        "The claim that names the person in the console and in the audit. `email` counts only "
        "where `email_verified` is true.",
        group=SINGLE_SIGN_ON,
    )
    console_oidc_scopes: str = variable(
        "CONSOLE_OIDC_SCOPES",
        SCOPES,
        "openid email profile",
        "What is asked for at the provider. Some give groups only for a scope of its own.",
        group=SINGLE_SIGN_ON,
    )

    @property
    def console(self) -> bool:
        """Whether the console is served."""
        return self._somebody_is_named and self.console_switch is not False

    @property
    def single_sign_on(self) -> SingleSignOn | None:
        """The provider at which people sign in; None if there is none."""
        if (
            self.console_oidc_issuer is None
            or self.console_oidc_client_id is None
            or self.console_oidc_client_secret is None
            or self.console_url is None
        ):
            return None
        return SingleSignOn(
            issuer=self.console_oidc_issuer,
            client_id=self.console_oidc_client_id,
            client_secret=self.console_oidc_client_secret,
            console_url=self.console_url,
            roles=self.console_oidc_roles,
            person_claim=self.console_oidc_person_claim,
            role_claim=self.console_oidc_role_claim or self.console_oidc_person_claim,
            scopes=self.console_oidc_scopes,
        )

    @property
    def _somebody_is_named(self) -> bool:
        return bool(self.console_users or self.console_proxy_header or self.console_oidc_issuer)

    def console_problems(self) -> list[str]:
        """What does not fit together, in a line each."""
        problems = []
        if self.console_switch and not self._somebody_is_named:
            problems.append(
                "CONSOLE is 1, and nobody could sign in: set CONSOLE_USERS, CONSOLE_PROXY_HEADER "
                "or CONSOLE_OIDC_ISSUER"
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
        return problems + single_sign_on_problems(
            self.console_oidc_issuer,
            [
                ("CONSOLE_OIDC_CLIENT_ID", self.console_oidc_client_id),
                ("CONSOLE_OIDC_CLIENT_SECRET", self.console_oidc_client_secret),
                ("CONSOLE_OIDC_ROLES", self.console_oidc_roles),
                ("CONSOLE_URL", self.console_url),
            ],
        )
