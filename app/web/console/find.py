"""One box for every id: it leads to the page of what was typed, or says where it has looked."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.routing import Route

from app.domain.errors import Rejected
from app.domain.fields import ACCOUNT_PATH, ID
from app.domain.snapshot import SessionKey
from app.operations.find import Found, Hit, ask_for, find
from app.web.console.console import Console
from app.web.console.forms import Form
from app.web.console.page import action, page
from app.web.console.people import Person, Role
from app.web.console.templating import reference_url
from app.web.console.verification_sessions import session_url
from app.web.console.views import Done, NotFound, View
from app.web.parameters import BadParameter

MAX_QUERY = 5_000  # characters: a reference has no more
MAX_TITLE = 60
# What Stripe can be asked for by its id alone, of which the ledger may know nothing.
ASKED = ("vs_", "vr_")


def routes(console: Console) -> list[Route]:
    """The page, and the question to Stripe that it offers."""
    pages = Find(console)
    return [
        action(console, "/find/{id}/ask", "find_at_stripe", pages.ask, role=Role.OPERATE),
        *page(console, "/find", pages.read),
    ]


class Find:
    """What the page shows, and what its button does."""

    def __init__(self, console: Console) -> None:
        """The stores are the console's own."""
        self._console = console
        self._stores = console.stores

    def read(self, request: Request) -> View:
        """What the query leads to; there at once, if that is one page. Raises BadParameter."""
        query = request.query_params.get("q", "")
        if len(query) > MAX_QUERY:
            raise BadParameter(f"that has over {MAX_QUERY} characters", param="q")
        found = find(self._stores, query)
        hits = [(hit, url_of(hit)) for hit in found.hits]
        alone = hits[0][1] if len(hits) == 1 and not found.away else None
        named = urlencode({"reference": found.query})
        a_user = found.query and not found.query.startswith(("evt_", *ASKED))
        extra = {
            "hits": hits,
            "can_ask": self._can_ask(found),
            "letters_url": f"/console/dead-letters?{named}" if a_user else None,
            "deferred_url": f"/console/deferred?{named}",
        }
        title = f"Find {found.query[:MAX_TITLE]}" if found.query else "Find"
        return View("find.html", title, found.as_json(), extra, location=alone or "")

    def ask(self, request: Request, form: Form, person: Person) -> Done:
        """Have Stripe say what it knows of the id, and go there.

        Raises NotFound if it knows nothing of it, Rejected for an account that cannot be one, and
        what `ask_for` does.
        """
        id, account = request.path_params["id"], form.get("account", "").strip()
        if account and not ACCOUNT_PATH.match(account):
            raise Rejected("an account has to be an acct_… id, or a path of them")
        session = ask_for(self._stores, id, account, self._console.now())
        if session is None:
            raise NotFound("Stripe does not know it, in the account and mode that were asked")
        key = SessionKey(session, account, self._stores.settings.livemode)
        return Done(session_url(key), {"session_id": session, "account": account})

    def _can_ask(self, found: Found) -> bool:
        an_id = ID.match(found.query) is not None and found.query.startswith(ASKED)
        return an_id and not found.hits and self._stores.stripe is not None


def url_of(hit: Hit) -> str | None:
    """The page of what was found; None if there is none. A session leads to its user."""
    if hit.place == "deferred":
        return f"/console/deferred?{urlencode({'queue': hit.queue})}"
    if hit.place == "dead_letters":
        return f"/console/dead-letters/{quote(hit.id, safe='')}?{urlencode({'queue': hit.queue})}"
    if hit.of is None:
        return None
    if hit.of.reference:
        return reference_url(hit.of)
    return session_url(SessionKey(hit.id, hit.of.account, hit.of.livemode))
