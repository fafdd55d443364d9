"""Which letters a page is about: the filters of `dlq list`, as an address or a form has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar
from urllib.parse import urlencode

from app.domain.durations import parse_duration
from app.domain.errors import Rejected
from app.operations.dlq.selection import Selection
from app.queue.model import EFFECTS, EVENTS
from app.queue.registry import Place
from app.queue.retry_policy import REASONS

NAMES = tuple(field.name for field in fields(Selection))
AGES = ("older_than", "younger_than")
QUEUES = (EVENTS.name, EFFECTS.name)
MAX_TEXT = 5_000  # characters of a filter: as many as a client_reference_id has at most

Choice = TypeVar("Choice", bound=str)


class BadFilter(Rejected):
    """A filter of the address cannot be read: the text says which, and what to write."""


def filters_in(given: Mapping[str, str]) -> dict[str, str]:
    """The filters that are set, as they were written."""
    found = {name: given.get(name, "").strip() for name in NAMES}
    return {name: text for name, text in found.items() if text}


def selection_in(given: Mapping[str, str]) -> Selection:
    """What the filters mean. Raises BadFilter."""
    texts = filters_in(given)
    for name, text in texts.items():
        if len(text) > MAX_TEXT or not text.isprintable():
            raise BadFilter(f"{name} is no text that can be looked for")
    if "reason" in texts:
        choice_in(texts, "reason", REASONS)
    if "purpose" in texts and "reference" not in texts:
        raise BadFilter("purpose goes with reference")
    ages = {name: _age_in(texts, name) for name in AGES if name in texts}
    return Selection(**{**texts, **ages})  # type: ignore[arg-type]  # the ages are numbers by now


def choice_in(given: Mapping[str, str], name: str, choices: tuple[Choice, ...]) -> Choice:
    """One of several words; the first if none is given. Raises BadFilter."""
    text = given.get(name) or choices[0]
    for choice in choices:
        if text == choice:
            return choice
    raise BadFilter(f"{name} has to be one of: {', '.join(choices)}")


def queue_in(given: Mapping[str, str]) -> str:
    """The queue that is meant, `events` if none is named. Raises BadFilter."""
    return choice_in(given, "queue", QUEUES)


def place_in(given: Mapping[str, str]) -> Place | None:
    """After which place the page begins; None: it is the first. Raises BadFilter."""
    text = given.get("after", "")
    if not text:
        return None
    score, _, id = text.partition("~")
    try:
        place = Place(float(score), id)
    except ValueError:
        raise BadFilter("after is no place in this list: begin with its first page") from None
    if not math.isfinite(place.score):
        raise BadFilter("after is no place in this list: begin with its first page")
    return place


def text_of(place: Place | None) -> str | None:
    """A place as an address has it."""
    return None if place is None else f"{place.score!r}~{place.id}"


def address(path: str, given: Mapping[str, str | None]) -> str:
    """An address of the console with these parameters; those that are None are left out."""
    query = urlencode({name: text for name, text in given.items() if text is not None})
    return f"{path}?{query}" if query else path


def _age_in(texts: Mapping[str, str], name: str) -> float:
    seconds = parse_duration(texts[name])
    if seconds is None:
        raise BadFilter(f"{name}: {texts[name]!r} is not an age: write 90s, 15m, 2h or 3d")
    return float(seconds)
