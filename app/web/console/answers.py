"""Makes answers of views and failures: HTML for people, JSON where `.json` is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from app.web.console.console import Console
from app.web.console.failing import Problem, log_problem, problem_of
from app.web.console.people import Person, RoleMissing
from app.web.console.views import Busy, Refused, View

SIGN_IN = "/console/sign-in"
# Requests that may wait for a thread: more would wait for longer than a person does.
MAX_WAITING = 40

# Characters of an address to come back to: proxies take a few kilobytes of an answer's head.
MAX_BACK = 2_000

T = TypeVar("T")


async def in_thread(limiter: CapacityLimiter, work: Callable[[], T]) -> T:
    """What `work` gives, in a thread of the limiter. Raises Busy if too many wait for one."""
    if limiter.statistics().tasks_waiting >= MAX_WAITING:
        raise Busy
    return await to_thread.run_sync(work, limiter=limiter)


def shown(
    console: Console, request: Request, view: View, person: Person | None, *, ask: bool = True
) -> Response:
    """The page of a view."""
    html = console.templates.render(view, request, person, ask=ask)
    return HTMLResponse(html, view.status)


def failed(
    console: Console, request: Request, failure: Exception, *, as_json: bool = False
) -> Response:
    """The page that says why there is no other."""
    if isinstance(failure, Refused):
        return _in_place(console, request, failure.view)
    problem = problem_of(failure)
    log_problem(request, failure, problem)
    answer = _as_json(problem) if as_json else _as_page(console, request, problem)
    if problem.retry_after is not None:
        answer.headers["Retry-After"] = str(problem.retry_after)
    if problem.status in (408, 413):  # the rest of the body is still on the connection
        answer.headers["Connection"] = "close"
    return answer


def not_signed_in(console: Console, request: Request, *, as_json: bool) -> Response:
    """To the sign-in page and back, or 401 where no page was asked for."""
    if as_json or request.method not in ("GET", "HEAD"):
        line = "you are not signed in, or your session has ended: sign in, and do it again"
        problem = Problem(401, "Not signed in", line)
        return _as_json(problem) if as_json else _as_page(console, request, problem)
    asked = request.scope.get("raw_path", b"").decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    if len(asked) + len(query) > MAX_BACK:
        return RedirectResponse(SIGN_IN, 303)
    back = quote(f"{asked}?{query}" if query else asked, safe="")
    return RedirectResponse(f"{SIGN_IN}?next={back}", 303)


def _as_json(problem: Problem) -> Response:
    error = {"message": f"{problem.line}: {problem.advice}" if problem.advice else problem.line}
    return JSONResponse({"error": error}, problem.status)


def _as_page(console: Console, request: Request, problem: Problem) -> Response:
    view = View("error.html", problem.title, problem._asdict(), status=problem.status)
    return _in_place(console, request, view)


def _in_place(console: Console, request: Request, view: View) -> Response:
    """A view that is shown where another was asked for."""
    try:
        person = console.people.of(request)
    except RoleMissing:
        person = None
    return shown(console, request, view, person, ask=False)
