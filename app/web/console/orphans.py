"""The sessions that name no user, and claims of them."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import Route

from app.domain.errors import Rejected
from app.operations.claim_orphan import Claims, metadata_key_of, summary
from app.operations.orphan_page import orphan_page
from app.web.console.console import Console
from app.web.console.forms import Form
from app.web.console.page import action, confirmed, page
from app.web.console.people import Person, Role
from app.web.console.verification_sessions import session_in, session_target, session_url
from app.web.console.views import Done, View
from app.web.references import livemode_in

ROWS = 50  # as many as the command line shows


def routes(console: Console) -> list[Route]:
    """The list, and the claim of a session, which stands on the session's page."""
    pages = Orphans(console)
    return [
        action(console, "/sessions/{session_id}/claim", "claim", pages.claim, role=Role.OPERATE),
        *page(console, "/orphans", pages.read),
    ]


class Orphans:
    """What the page shows, and what a claim does."""

    def __init__(self, console: Console) -> None:
        """The stores are the console's own."""
        self._console = console
        self._stores = console.stores

    def read(self, request: Request) -> View:
        """Those of one mode by id, as `orphans list --json` gives them.

        Raises BadParameter and the ledger's errors.
        """
        query = request.query_params
        livemode = livemode_in(query, self._stores.settings.livemode)
        found = orphan_page(
            self._stores.ledger.orphans,
            livemode=livemode,
            limit=ROWS,
            after=query.get("after", "").replace("\0", ""),
        )
        mode = {"livemode": str(livemode).lower()}
        after = mode | {"after": found.sessions[-1].id} if found.has_more else None
        extra = {
            "livemode": livemode,
            "orphans": [(one, session_url(one.key)) for one in found.sessions],
            "next": None if after is None else f"/console/orphans?{urlencode(after)}",
            "other_mode": f"/console/orphans?livemode={str(not livemode).lower()}",
        }
        return View("orphans.html", "Orphans", found.as_json(), extra)

    def claim(self, request: Request, form: Form, person: Person) -> Done:
        """Make a session count for the user who was typed twice.

        Raises NotConfirmed, Rejected if it does not count for them, and the ledger's errors.
        """
        session = session_in(request, self._stores.settings)
        reference = form["reference"].strip()
        confirmed(form, reference)
        claims = Claims(
            self._stores,
            metadata_key=metadata_key_of(self._stores.settings),
            now=self._console.now,
        )
        claim = claims.claim(session, reference)
        if not claim.counts:
            raise Rejected(summary(claim))
        claimed = self._stores.ledger.read_session(session)
        purpose = "" if claimed is None else claimed.snapshot.purpose
        target = session_target(session) | {"reference": reference, "purpose": purpose}
        return Done(session_url(session, done=claim.at_stripe), target)
