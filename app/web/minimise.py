"""A delivery's text as an event of ours: what is dropped here cannot leak later.

`parse_delivery` decides, and `json` says what it is given. For the usual delivery msgspec picks
the few fields that `parse` reads out of the text, without making objects of all the others. It is
stricter than `json`, so whatever it does not take is left to `json`; a test holds the two equal.
"""

from __future__ import annotations

import json
from typing import Any, TypedDict

import msgspec

from app.domain.errors import UnreadableEvent
from app.domain.snapshot import MetadataKeys
from app.domain.thin_event import Delivered, parse_delivery

# Opening brackets of a delivery that msgspec is given; Stripe's have about twenty. Both parsers
# give up on deep nesting, each at a depth of its own, which these cannot reach.
MAX_BRACKETS = 300
# Python reads no integer of over 4,300 digits. msgspec would skip one in a field that we drop.
LONG_NUMBER = 4_000
_DIGITS = frozenset("0123456789")


class _WithCode(TypedDict, total=False):
    code: str | None


class _WithStatus(TypedDict, total=False):
    status: str | None


class _WithId(TypedDict, total=False):
    id: str | None


class _Document(TypedDict, total=False):
    allowed_types: list[str] | None
    require_id_number: bool | None
    require_live_capture: bool | None
    require_matching_selfie: bool | None


class _Options(TypedDict, total=False):
    document: _Document | None


class _Session(TypedDict, total=False):
    id: str | None
    status: str | None
    type: str | None
    verification_flow: str | None
    options: _Options | None
    livemode: bool | None
    created: int | float | None  # without `float`, msgspec would take 1.0 for 1
    client_reference_id: str | None
    metadata: dict[str, str] | None
    last_error: _WithCode | None
    last_verification_report: str | _WithId | None
    redaction: _WithStatus | None


class _Content(TypedDict, total=False):
    object: _Session | None


class _Event(TypedDict, total=False):
    """All that `parse_delivery` reads, in the usual types."""

    id: str | None
    type: str | None
    created: int | float | None
    account: str | None
    context: str | None
    livemode: bool | None
    data: _Content | None
    related_object: _WithId | None


_usual = msgspec.json.Decoder(_Event)


def minimise(text: str, metadata_keys: MetadataKeys) -> Delivered | None:
    """The event of a delivery; None if it is not one of ours.

    Raises UnreadableEvent if it is not JSON, or a field does not have the form Stripe documents.
    """
    return parse_delivery(_decode(text), metadata_keys)


def _decode(text: str) -> Any:
    """The fields that `parse` reads; all fields if anything about the text is unusual."""
    if _looks_usual(text):
        try:
            return _usual.decode(text)
        except msgspec.DecodeError:  # of another shape, or not JSON: `json` says which
            pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # not JSON, a number without end, too deep
        raise UnreadableEvent("the body is not JSON that can be read") from None


def _looks_usual(text: str) -> bool:
    """False if it may be nested deeply, or hold a number without end."""
    if text.count("{") + text.count("[") > MAX_BRACKETS:
        return False
    # Such a number has a digit at a multiple of LONG_NUMBER, wherever it begins.
    return _DIGITS.isdisjoint(text[LONG_NUMBER::LONG_NUMBER])
