"""`/console/sign-in` and `/console/sign-out`."""

from __future__ import annotations

from functools import partial
from urllib.parse import unquote, urlencode

from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.configuration.passwords import MAX_PASSWORD, password_matches
from app.logs import get_logger
from app.web.console.answers import MAX_BACK, SIGN_IN, failed, in_thread, shown
from app.web.console.auditing import audit
from app.web.console.console import Console
from app.web.console.cookies import give_cookie, take_cookie
from app.web.console.failing import TooManyTries
from app.web.console.flows import FLOW_PATH
from app.web.console.forms import read_form
from app.web.console.protection import refuse_cross_site
from app.web.console.sessions import COOKIE, LASTS, PATH
from app.web.console.views import View

log = get_logger("console")

HOME = "/console/"
MAX_QUERY = 3 * MAX_BACK + 100  # bytes: each sign of an address may be encoded
WRONG = "That name and password do not go together."


def routes(console: Console) -> list[Route]:
    """The sign-in page, what it posts to, and signing out."""
    pages = SignIn(console)
    return [
        Route(SIGN_IN, pages.show, methods=["GET"]),
        Route(SIGN_IN, pages.sign_in, methods=["POST"]),
        Route("/console/sign-out", pages.sign_out, methods=["POST"]),
    ]


class SignIn:
    """Begins and ends the sessions of those who have a password."""

    def __init__(self, console: Console) -> None:
        """`console` knows the people."""
        self._console = console

    async def show(self, request: Request) -> Response:
        """The form; back to where one came from, if one is signed in already."""
        back = back_in(request)
        try:
            if self._console.people.of(request) is not None:
                return RedirectResponse(back, 303)
            return self._form(request, back)
        except Exception as failure:
            return failed(self._console, request, failure)

    async def sign_in(self, request: Request) -> Response:
        """303 with the cookie; the form again with 401 if name and password do not go together."""
        try:
            refuse_cross_site(request)
            form = await read_form(request)
            back = _local(form.get("next", ""))
            name = form.get("name", "").strip()
            if not await self._is_right(name, form.get("password", "")):
                return self._refused(request, back, name)
            await note(self._console, name, "sign_in", "done")
        except Exception as failure:
            return failed(self._console, request, failure)
        answer = RedirectResponse(back, 303)
        give_session(self._console, answer, self._console.people.sessions.cookie_of(name), LASTS)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """303 to the sign-in page, without the cookie."""
        try:
            refuse_cross_site(request)
            person = self._console.people.of(request)
            if person is not None:
                await note(self._console, person.name, "sign_out", "done")
        except Exception as failure:
            return failed(self._console, request, failure)
        answer = RedirectResponse(SIGN_IN, 303)
        take_cookie(self._console, answer, COOKIE, path=PATH)
        return answer

    async def _is_right(self, name: str, password: str) -> bool:
        """Whether it is the password of this person. It counts as a try. Raises TooManyTries."""
        users, tries = self._console.people.users, self._console.tries
        wait = tries.take(name)
        if wait:
            raise TooManyTries(wait)
        if not users:
            return False
        # For a name that nobody has, somebody's hash is checked all the same: that takes as long.
        user = users.get(name) or next(iter(users.values()))
        check = partial(password_matches, str(user.hash), password[:MAX_PASSWORD])
        right = await in_thread(self._console.hashing, check) and name in users
        if right:
            tries.give_back(name)
        return right

    def _refused(self, request: Request, back: str, name: str) -> Response:
        """The form again. The audit comes after it: the time must not tell who has that name."""
        answer = self._form(request, back, name=name, problem=WRONG)
        known = name in self._console.people.users
        if known:
            answer.background = BackgroundTask(note, self._console, name, "sign_in", "refused")
        # What nobody has for a name may be a password that was typed into the wrong field.
        log.warning("sign-in refused", person=name if known else None)
        return answer

    def _form(self, request: Request, back: str, *, name: str = "", problem: str = "") -> Response:
        provider = self._console.provider
        data = {
            "name": name,
            "next": back,
            "problem": problem,
            "passwords": bool(self._console.people.users),
            "provider": None if provider is None else provider.settings.host,
            "provider_url": f"{FLOW_PATH}?{urlencode({'next': back})}",
        }
        view = View("sign_in.html", "Sign in", data, status=401 if problem else 200)
        return shown(self._console, request, view, None, ask=False)


def back_in(request: Request) -> str:
    """Where to go after signing in, by the address: the first page, if it names no other."""
    # Read in the event loop, for strangers: no further than what leads here can be long.
    short = len(request.scope["query_string"]) <= MAX_QUERY
    return _local(request.query_params.get("next", "")) if short else HOME


def give_session(console: Console, answer: Response, cookie: str, seconds: int) -> None:
    """Have the browser keep a session's cookie for so long."""
    give_cookie(console, answer, COOKIE, cookie, path=PATH, seconds=seconds)


async def note(console: Console, who: str, action: str, result: str) -> None:
    """Keep who has signed in or out, or was refused it."""
    work = partial(audit, console, who, action, {}, result)
    await to_thread.run_sync(work, limiter=console.noting)


def _local(address: str) -> str:
    """An address of the console's own; its first page, if it is another."""
    elsewhere = not address.startswith(HOME) or address.startswith(SIGN_IN)
    # By dots in its path, encoded or not, a browser would leave the console.
    leaves = ".." in unquote(address.partition("?")[0])
    return HOME if elsewhere or leaves or not address.isprintable() else address
