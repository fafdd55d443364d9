"""What Stripe's answers have around their objects: pages, dates, the names of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

import stripe

from app.stripe.errors import (
    NOT_STRIPES,
    StripeUnavailable,
    header_in,
    request_id_in,
    translated_errors,
)
from app.stripe.query import query_of

NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Page:
    """A part of one of Stripe's lists, newest first."""

    items: list[dict[str, Any]]
    has_more: bool
    date: int  # the answer's Date, in Unix seconds
    request_id: str | None = None  # Stripe's name for the call
    took: float = 0  # seconds that the call took


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer as Stripe gave it, of which nothing is kept: it may hold a person's data."""

    body: dict[str, Any]
    request_id: str | None


def page_of(
    client: stripe.StripeClient,
    path: str,
    params: Mapping[str, Any],
    options: Mapping[str, str] = NO_OPTIONS,
) -> Page:
    """A page of a list, as decoded JSON: the package's objects would take ten times as long."""
    response = answer_of(client, path, params, options)
    found = object_in(response)
    if not isinstance(found.get("data"), list):
        raise StripeUnavailable(NOT_STRIPES)
    has_more = bool(found.get("has_more"))
    return Page(found["data"], has_more, answered_at(response), request_id_of(response))


def answer_of(
    client: stripe.StripeClient, path: str, params: Mapping[str, Any], options: Mapping[str, str]
) -> stripe.StripeResponse:
    """The answer to a call that changes nothing; `options` are those of the stripe package."""
    with translated_errors():
        # In the address: of its keywords the package takes several, as `api_key`, for options.
        response: stripe.StripeResponse = client.raw_request(
            "get", f"{path}?{query_of(params)}", **options
        )
        return response


def object_in(response: stripe.StripeResponse) -> dict[str, Any]:
    """The object that was answered. Raises StripeUnavailable if it is none."""
    if not isinstance(response.data, dict):
        raise StripeUnavailable(NOT_STRIPES)
    return response.data


def request_id_of(response: stripe.StripeResponse | None) -> str | None:
    """Stripe's name for the call; None if it gave none."""
    return request_id_in(None if response is None else response.headers)


def answered_at(response: stripe.StripeResponse | None) -> int:
    """An answer's Date header, in Unix seconds. Raises StripeUnavailable if it has none."""
    try:
        return int(parsedate_to_datetime(header_of(response, "date")).timestamp())
    except ValueError:
        raise StripeUnavailable("the answer has no Date: is a proxy in between?") from None


def header_of(response: stripe.StripeResponse | None, name: str) -> str:
    """The value of the header of this name, in lower case; "" if there is none."""
    return header_in(None if response is None else response.headers, name)
