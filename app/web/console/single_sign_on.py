"""`/console/sign-in/oidc`: to the provider, and back from it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.configuration.single_sign_on import CALLBACK_PATH
from app.logs import get_logger
from app.oidc.errors import NotBegunHere, SignInRefused
from app.web.console.answers import failed, in_thread
from app.web.console.console import Console
from app.web.console.cookies import give_cookie, take_cookie
from app.web.console.failing import TooManySignIns
from app.web.console.flows import FLOW_COOKIE, FLOW_PATH, Flow, Flows, code_in
from app.web.console.flows import LASTS as FLOW_LASTS
from app.web.console.sessions import LASTS_BY_PROVIDER, ProviderSessions, SignedIn
from app.web.console.sign_in import HOME, back_in, give_session, note

if TYPE_CHECKING:
    from app.oidc.identity import Identity
    from app.oidc.provider import Provider

log = get_logger("console")

MAX_ANSWER = 16 * 1024  # bytes of a query; the longest codes take two thousand


def routes(console: Console) -> list[Route]:
    """To the provider and back; neither, if there is none."""
    if console.provider is None:
        return []
    pages = SingleSignOnPages(console, console.provider)
    return [
        Route(FLOW_PATH, pages.begin, methods=["GET"]),
        Route(CALLBACK_PATH, pages.end, methods=["GET"]),
    ]


class SingleSignOnPages:
    """Begins and ends sign-ins by the provider."""

    def __init__(self, console: Console, provider: Provider) -> None:
        """`provider` is the console's."""
        self._console = console
        self._provider = provider
        self._flows = Flows(provider.settings, HOME, console.now)
        self._sessions = ProviderSessions(provider.settings, console.now)

    async def begin(self, request: Request) -> Response:
        """303 to the provider's sign-in page; back, if one is signed in already."""
        back = back_in(request)
        try:
            if self._console.people.of(request) is not None:
                return RedirectResponse(back, 303)
            self._count()
            flow = Flow.begun(back)
            work = partial(self._provider.authorization_url, flow.state, flow.nonce, flow.verifier)
            answer = RedirectResponse(await in_thread(self._console.asking, work), 303)
        except Exception as failure:
            return failed(self._console, request, failure)
        kept = self._flows.cookie_of(flow)
        give_cookie(self._console, answer, FLOW_COOKIE, kept, path=FLOW_PATH, seconds=FLOW_LASTS)
        return answer

    async def end(self, request: Request) -> Response:
        """303 with the cookie of a session, to where one came from."""
        try:
            self._count()
            answer = await self._signed_in(request)
        except Exception as failure:
            if isinstance(failure, SignInRefused):
                await self._note(failure)
            answer = failed(self._console, request, failure)
        take_cookie(self._console, answer, FLOW_COOKIE, path=FLOW_PATH)
        return answer

    async def _signed_in(self, request: Request) -> Response:
        """Raises SignInRefused, ProviderAway, ProviderUnusable and Busy."""
        # Read in the event loop, for strangers: no further than an answer can be long.
        if len(request.scope["query_string"]) > MAX_ANSWER:
            raise NotBegunHere
        answer = request.query_params
        flow = self._flows.ended(request.cookies.get(FLOW_COOKIE, ""), answer)
        work = partial(self._identify, flow, answer)
        found = await in_thread(self._console.asking, work)
        await note(self._console, found.name, "sign_in", "done")
        back = RedirectResponse(flow.back, 303)
        give_session(
            self._console, back, self._sessions.cookie_of(SignedIn(*found)), LASTS_BY_PROVIDER
        )
        return back

    def _identify(self, flow: Flow, answer: QueryParams) -> Identity:
        provider = self._provider
        code = code_in(answer, provider.settings.issuer, named=provider.names_itself())
        return provider.identify(code, flow.nonce, flow.verifier)

    async def _note(self, refused: SignInRefused) -> None:
        log.warning("sign-in refused", person=refused.person, reason=refused.reason)
        if refused.person is not None:
            await note(self._console, refused.person, "sign_in", "refused")

    def _count(self) -> None:
        """Raises TooManySignIns: each costs calls to the provider, and strangers begin them."""
        if not self._console.sign_ins.allows():
            raise TooManySignIns
