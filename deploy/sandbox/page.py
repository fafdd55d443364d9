"""The page behind a session's `url`, where a person chooses how their verification ends."""

from collections.abc import Callable
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.sandbox import bodies
from deploy.sandbox.control import OUTCOMES, WALK_AWAY
from deploy.sandbox.session import LAST_ERRORS, REQUIRES_INPUT, VERIFIED, Session
from deploy.sandbox.state import State

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    # The address is a secret of one session: no other site may receive it.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """Shows the outcomes, and applies the chosen one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._template = Template((files("deploy.sandbox") / "verify.html").read_text("utf-8"))

    def find(self, token: str) -> Session | Response:
        """The session that the token opens, or the page that says why there is none."""
        session_id = self._state.links.get(token)
        if session_id is None:
            return self._close(404, "Unknown link", "No verification has this address.")
        session = self._state.sessions[session_id]
        current = session.link == token and session.link_expires > self._state.clock.now()
        if not current or session.status != REQUIRES_INPUT:
            return self._close(410, "This link was used", "Ask for a new one where you got it.")
        return session

    def choose(self, session: Session) -> Response:
        """The page with one button for each outcome."""
        reference = session.client_reference_id or "none"
        content = (
            "<p>Nothing is photographed here: choose how this verification ends.</p>"
            f"<dl><dt>Session</dt><dd>{escape(session.id)}</dd>"
            f"<dt>Reference</dt><dd>{escape(reference)}</dd></dl>"
            '<form method="post">'
            f'<button class="first" name="outcome" value="{VERIFIED}">Verified</button>'
            "<fieldset><legend>Or fail with</legend>"
            + "".join(_button(code, reason) for code, reason in LAST_ERRORS.items())
            + "</fieldset><fieldset><legend>Or</legend>"
            + _button(WALK_AWAY, "Nothing is submitted, and the link stays good.")
            + "</fieldset></form>"
        )
        return self._show(200, "Identity verification sandbox", content)

    def finish(self, session: Session, outcome: str) -> Response:
        """Apply the choice; go back to the team's own page if the session names one."""
        if outcome not in OUTCOMES:
            return self._close(400, "Unknown outcome", "Go back and choose one of the buttons.")
        if outcome != WALK_AWAY:
            self._state.submit(session, outcome)
        if session.return_url is not None:
            return RedirectResponse(session.return_url, 303, headers=_HEADERS)
        if outcome == WALK_AWAY:
            return self._close(200, "Nothing was submitted", "The link stays good for another try.")
        return self._close(200, "Thank you", "It was submitted. You can close this page.")

    def too_large(self) -> Response:
        """The answer to a form that is not ours."""
        return self._close(413, "Too large", "Go back and choose one of the buttons.")

    def _close(self, status: int, title: str, text: str) -> Response:
        return self._show(status, title, f"<p>{escape(text)}</p>")

    def _show(self, status: int, title: str, content: str) -> Response:
        html = self._template.substitute(title=escape(title), content=content)
        return HTMLResponse(html, status, _HEADERS)


def _button(outcome: str, reason: str) -> str:
    return (
        f'<button name="outcome" value="{escape(outcome)}">{escape(outcome)}'
        f"<small>{escape(reason)}</small></button>"
    )


def routes(page: Page, changed: Callable[[], None]) -> list[Route]:
    """GET and POST /verify/:token."""

    async def show(request: Request) -> Response:
        found = page.find(request.path_params["token"])
        return page.choose(found) if isinstance(found, Session) else found

    async def take(request: Request) -> Response:
        try:
            form = parse_qs((await bodies.read(request)).decode("utf-8", "replace"))
        except (bodies.TooLarge, ValueError):
            return page.too_large()
        found = page.find(request.path_params["token"])
        if not isinstance(found, Session):
            return found
        response = page.finish(found, form.get("outcome", [""])[0])
        changed()
        return response

    return [
        Route("/verify/{token}", show, methods=["GET"]),
        Route("/verify/{token}", take, methods=["POST"]),
    ]
