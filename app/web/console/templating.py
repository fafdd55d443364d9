"""Makes HTML of views: Jinja2, which escapes all that it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from app.configuration.settings import Settings
from app.domain.fields import ACCOUNT_PATH
from app.domain.modes import mode_name
from app.web.console import texts
from app.web.console.accounts import OwnAccount
from app.web.console.people import Person, Role
from app.web.console.views import View

FOLDER = Path(__file__).parent / "templates"
# Pages of one account, and of one mode, which their address names. Every other is of both, and no
# address may have it say that it is of another than this deployment's own.
OF_ONE_ACCOUNT = ("/console/references/", "/console/sessions/")
OF_ONE_MODE = (*OF_ONE_ACCOUNT, "/console/orphans")

# Who the page is made for, as macros see it, which are given no context.
_person: ContextVar[Person | None] = ContextVar("person", default=None)


class Templates:
    """The templates, and what each of them sees beside its view."""

    def __init__(self, settings: Settings, account: OwnAccount, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._settings = settings
        self._account = account
        self._now = now
        self.navigation: Sequence[tuple[str, str]] = ()  # address and name of each page in it
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "iso": texts.iso,
            "clock": texts.clock,
            "age": texts.age,
            "number": texts.number,
            "with_code": texts.with_code,
        }
        self._environment.globals |= {"may": may, "reference_url": reference_url}

    def render(
        self, view: View, request: Request, person: Person | None, *, ask: bool = True
    ) -> str:
        """The page. Without `ask`, the ledger is not asked for the account."""
        livemode = _livemode_of(request, self._settings.livemode)
        own = self._account.name(livemode) if ask else self._account.remembered(livemode)
        seen: dict[str, Any] = {
            **view.extra,
            "view": view,
            "data": view.data,
            "person": person,
            "mode": mode_name(livemode),
            "account": _account_of(request) or own,
            "path": request.scope["path"],
            "json_url": _json_url(request),
            "now": self._now(),
            "navigation": self.navigation,
        }
        token = _person.set(person)
        try:
            return self._environment.get_template(view.template).render(seen)
        finally:
            _person.reset(token)

    def fragment(self, template: str, **seen: Any) -> str:
        """A part of a page that is the same for everybody, as a stream sends it."""
        return self._environment.get_template(template).render(seen)


def may(role: str | Role) -> bool:
    """Whether the person for whom the page is made has this role."""
    person = _person.get()
    needed = Role.named(role) if isinstance(role, str) else role
    return person is not None and person.role >= needed


def reference_url(key: Any) -> str:
    """The page of a reference; `key` has `reference`, `livemode`, `account`, perhaps `purpose`."""
    fields = key if isinstance(key, dict) else key._asdict()
    path = quote(fields["reference"], safe="")
    if path.endswith(".json"):  # which by itself would ask for the page's JSON
        path = path.removesuffix(".json") + "%2Ejson"
    query = {"livemode": str(bool(fields["livemode"])).lower()}
    query |= {name: fields[name] for name in ("account", "purpose") if fields.get(name)}
    return f"/console/references/{path}?{urlencode(query)}"


def _livemode_of(request: Request, default: bool) -> bool:
    if not request.scope["path"].startswith(OF_ONE_MODE):
        return default
    named = request.query_params.get("livemode")
    return default if named not in ("true", "false") else named == "true"


def _account_of(request: Request) -> str:
    """The account that the address names; whoever made the address must not write a text there."""
    if not request.scope["path"].startswith(OF_ONE_ACCOUNT):
        return ""
    named = request.query_params.get("account", "")
    return named if ACCOUNT_PATH.match(named) else ""


def _json_url(request: Request) -> str:
    path = request.scope.get("raw_path", b"").decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}.json?{query}" if query else f"{path}.json"
