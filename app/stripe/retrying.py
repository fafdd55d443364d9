"""Stripe's lists for long work: if Stripe is away or limits us, wait and ask again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from app.domain.fields import ID
from app.domain.session import Observation
from app.stripe.answers import Page
from app.stripe.client import StripeApi
from app.stripe.errors import StripeUnavailable

T = TypeVar("T")

# Seconds before Stripe is asked again, growing: four minutes in all, then a person should look.
PAUSES = (1, 2, 4, 8, 15, 30, 60, 60, 60)


def named(item: Mapping[str, Any]) -> str:
    """The id of an object that cannot be read, if it has one."""
    id = item.get("id")
    return id if isinstance(id, str) and ID.match(id) else "one without an id"


class StripeLists(Protocol):
    """Stripe's lists of an account, a page at a time; "" is the key's own."""

    def own_account(self) -> str | None:
        """The account of the key; None if Stripe does not say."""

    def list_events(self, params: dict[str, Any], account: str = "") -> Page:
        """Events, newest first."""

    def list_sessions(self, params: dict[str, Any], account: str = "") -> Page:
        """Sessions, newest first."""

    def observe(self, session: Mapping[str, Any], page: Page, account: str = "") -> Observation:
        """The observation of a listed session."""


class RetryingStripe:
    """Stripe's lists, with pauses. Raises StripeUnavailable after the last of them."""

    def __init__(
        self,
        stripe: StripeApi,
        report: Callable[[str], None] = lambda why: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`report` is given the reason and length of each pause, before it."""
        self._stripe = stripe
        self._report = report
        self._sleep = sleep

    def own_account(self) -> str | None:
        """As StripeApi's."""
        return self._ask(self._stripe.own_account)

    def list_events(self, params: dict[str, Any], account: str = "") -> Page:
        """As StripeApi's."""
        return self._ask(lambda: self._stripe.list_events(params, account))

    def list_sessions(self, params: dict[str, Any], account: str = "") -> Page:
        """As StripeApi's."""
        return self._ask(lambda: self._stripe.list_sessions(params, account))

    def observe(self, session: Mapping[str, Any], page: Page, account: str = "") -> Observation:
        """As StripeApi's."""
        return self._stripe.observe(session, page, account)

    def _ask(self, ask: Callable[[], T]) -> T:
        for pause in PAUSES:
            try:
                return ask()
            except StripeUnavailable as error:
                why = "Stripe limits our requests" if error.status == 429 else str(error)
                self._report(f"{why}: asked again in {pause} s")
                self._sleep(pause)
        return ask()
