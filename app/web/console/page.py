"""Pages and actions of the console: what each of them needs besides its own reading and doing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.domain.errors import Rejected
from app.web.body import BodyTooLarge, BodyTooSlow
from app.web.console.answers import failed, in_thread, not_signed_in, shown
from app.web.console.auditing import audit
from app.web.console.console import Console
from app.web.console.forms import Form, read_form
from app.web.console.people import Person, Role, person_of, remember_person
from app.web.console.protection import refuse_cross_site
from app.web.console.views import Done, NotConfirmed, NotFound, Refused, View

__all__ = [
    "ActionRoute",
    "Done",
    "Form",
    "NotConfirmed",
    "NotFound",
    "Refused",
    "View",
    "action",
    "confirmed",
    "page",
    "person_of",
]

PREFIX = "/console"
JSON = ".json"
# What the query may say of a reference.
OF_A_USER = ("livemode", "account", "purpose")

Act = Callable[[Request, Form, Person], Done]


class JsonRoute(Route):
    """A page's JSON. A reference that ends with .json has its last dot encoded, and is a page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route's, by the path as it was sent."""
        if not scope.get("raw_path", b"").endswith(JSON.encode()):
            return Match.NONE, {}
        return super().matches(scope)


class ActionRoute(Route):
    """An address that changes something; the test of all actions reads what it needs."""

    action = ""
    role = Role.OPERATE


def page(console: Console, path: str, read: Callable[[Request], View]) -> list[Route]:
    """`GET /console{path}` and its JSON, for whoever is signed in.

    `read` runs in a thread of the console's limiter; whatever it raises becomes a page.
    """

    async def show(request: Request) -> Response:
        return await _answer_page(console, request, read, as_json=False)

    async def show_json(request: Request) -> Response:
        return await _answer_page(console, request, read, as_json=True)

    return [
        JsonRoute(PREFIX + path + JSON, show_json, methods=["GET"]),
        Route(PREFIX + path, show, methods=["GET"]),
    ]


def action(
    console: Console,
    path: str,
    name: str,
    act: Act,
    *,
    role: Role,
) -> Route:
    """`POST /console{path}`, for people of this role, from the console's own pages.

    `act` runs in a thread. What it does, and what is refused, is in the audit under `name`. What
    `act` raises becomes a page.
    """

    async def do(request: Request) -> Response:
        try:
            person = console.people.of(request)
            if person is None:
                return not_signed_in(console, request, as_json=False)
            form = await _admit(console, request, person, name, role)
            attempt = Attempt(console, request, form, person, name)
            done = await in_thread(console.acting, partial(attempt.carry_out, act))
            return RedirectResponse(done.location, 303)
        except Exception as failure:
            return failed(console, request, failure)

    route = ActionRoute(PREFIX + path, do, methods=["POST"])
    route.action, route.role = name, role
    return route


class Attempt(NamedTuple):
    """One call of an action, by a person who may make it."""

    console: Console
    request: Request
    form: Form
    person: Person
    name: str

    def carry_out(self, act: Act) -> Done:
        """What the action gives. It is in the audit, whatever comes of it."""
        try:
            done = act(self.request, self.form, self.person)
        except Exception as failure:
            result = "refused" if isinstance(failure, Rejected) else "failed"
            self._note({}, result, self.form.get("reason", ""))
            raise
        self._note(done.target, "done", done.reason)
        return done

    def _note(self, target: Mapping[str, str], result: str, reason: str) -> None:
        ids = {**_ids_in(self.request), **target}
        audit(self.console, self.person.name, self.name, ids, result, reason)


def confirmed(form: Form, expected: str) -> None:
    """Raises NotConfirmed unless the form's `confirm` is what the person was asked to type."""
    if form.get("confirm", "").strip() != expected:
        raise NotConfirmed(f"nothing was done: type {expected} to confirm it")


async def _answer_page(
    console: Console, request: Request, read: Callable[[Request], View], *, as_json: bool
) -> Response:
    try:
        person = console.people.of(request)
        if person is None:
            return not_signed_in(console, request, as_json=as_json)
        remember_person(request, person)
        work = partial(_read_page, console, request, read, person, as_json)
        return await in_thread(console.limiter, work)
    except Exception as failure:
        return failed(console, request, failure, as_json=as_json)


def _read_page(
    console: Console,
    request: Request,
    read: Callable[[Request], View],
    person: Person,
    as_json: bool,
) -> Response:
    view = read(request)
    if as_json:
        return JSONResponse(view.data, view.status)
    if view.location:
        return RedirectResponse(view.location, 303)
    return shown(console, request, view, person)


async def _admit(console: Console, request: Request, person: Person, name: str, role: Role) -> Form:
    """The form of a person who may do this. What is refused is in the audit.

    Raises CrossSite, RoleMissing, BadForm and the body's errors.
    """
    remember_person(request, person)
    try:
        refuse_cross_site(request)
        person.require(role)
        return await read_form(request)
    except (Rejected, BodyTooLarge, BodyTooSlow):
        work = partial(audit, console, person.name, name, _ids_in(request), "refused")
        await in_thread(console.noting, work)
        raise


def _ids_in(request: Request) -> dict[str, str]:
    """What the address names; of a reference, which of its mode, account and purpose."""
    ids = {name: str(value) for name, value in request.path_params.items()}
    if "reference" in ids:
        ids |= {
            name: request.query_params[name] for name in OF_A_USER if name in request.query_params
        }
    return ids
