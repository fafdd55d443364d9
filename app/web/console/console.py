"""What the console's pages work with: stores of its own, so that it cannot hold up deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import CapacityLimiter

from app.configuration.settings import Settings
from app.stores import Share, Stores, open_stores
from app.web.console.accounts import OwnAccount
from app.web.console.people import People
from app.web.console.templating import Templates
from app.web.console.tries import Tries
from app.web.limits import Allowance

if TYPE_CHECKING:
    from app.oidc.provider import Provider

# Connections to each store, and seconds for a statement: deliveries and the API have others.
SHARE = Share(connections=2, seconds=2.0)
# Pages that are read at once, actions, which may wait for Stripe, passwords, which take memory, and
# sign-ins, which wait for the provider.
READING, ACTING, HASHING, ASKING = 4, 2, 2, 2
# Entries of the audit that are written at once, of what waits for no action: signing in, refusals.
NOTING = 2
# What is refused has an entry each, up to so many, and how many more a second; the log has all.
# Whoever is signed in must not fill the ledger.
REFUSED_BURST, REFUSED_RATE = 100, 0.1
# Sign-ins by the provider: each takes two, one to go there and one to come back.
SIGN_IN_BURST, SIGN_IN_RATE = 60, 1.0


@dataclass(frozen=True, slots=True)
class Console:
    """The console of one web process."""

    stores: Stores
    now: Callable[[], float]
    settings: Settings
    limiter: CapacityLimiter
    templates: Templates
    acting: CapacityLimiter
    hashing: CapacityLimiter
    noting: CapacityLimiter
    people: People
    tries: Tries
    refused: Allowance
    provider: Provider | None
    asking: CapacityLimiter
    sign_ins: Allowance

    @classmethod
    def of(
        cls,
        settings: Settings,
        now: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Console:
        """The console of these settings, which connects at its first page.

        `now` gives Unix seconds, `monotonic` seconds.
        """
        stores = open_stores(settings, patience=SHARE.seconds, share=SHARE)
        return cls(
            stores=stores,
            now=now,
            settings=settings,
            limiter=CapacityLimiter(READING),
            templates=Templates(settings, OwnAccount(stores.ledger.cursors, monotonic), now),
            acting=CapacityLimiter(ACTING),
            hashing=CapacityLimiter(HASHING),
            noting=CapacityLimiter(NOTING),
            people=People(settings, now),
            tries=Tries(monotonic),
            refused=Allowance(REFUSED_BURST, REFUSED_RATE, monotonic),
            provider=_provider(settings, now, monotonic),
            asking=CapacityLimiter(ASKING),
            sign_ins=Allowance(SIGN_IN_BURST, SIGN_IN_RATE, monotonic),
        )


def _provider(
    settings: Settings, now: Callable[[], float], monotonic: Callable[[], float]
) -> Provider | None:
    """The provider at which people sign in; None, and nothing of it imported, if there is none."""
    named = settings.single_sign_on
    if named is None:
        return None
    from app.oidc.provider import Provider

    return Provider(named, now, monotonic)
