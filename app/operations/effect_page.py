"""The effects that are not done, a page at a time, as commands and the console show them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine

from app.domain.errors import Rejected
from app.ledger.outbox import (
    EffectCount,
    EffectPlace,
    OpenEffect,
    State,
    count_effects,
    list_effects,
)

MAX_DIGITS = 12  # of a time in Unix seconds


@dataclass(frozen=True, slots=True)
class EffectPage:
    """How many effects are in which state, and some of those in one of them."""

    counts: list[EffectCount]
    state: State
    effects: list[OpenEffect]
    next: str | None  # after which the next page begins; None: this is the last

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "counts": [asdict(one) for one in self.counts],
            "state": self.state,
            "data": [effect._asdict() for effect in self.effects],
            "next": self.next,
        }


def effect_page(engine: Engine, state: State, *, after: str, limit: int, now: int) -> EffectPage:
    """A page of the effects in a state, after the `next` of the page before; "": the first.

    `now` is in Unix seconds. Raises Rejected for what is no `next`, and the ledger's errors.
    """
    place = _place_of(after)
    counts = count_effects(engine, now)
    effects, following = list_effects(engine, state, place, limit)
    next = None if following is None else f"{following.at}~{following.id}"
    return EffectPage(counts, state, effects, next)


def _place_of(text: str) -> EffectPlace | None:
    if not text:
        return None
    at, _, id = text.partition("~")
    if not (at.isascii() and at.isdigit() and len(at) <= MAX_DIGITS and id.isprintable()):
        raise Rejected("after is no place in this list: begin with its first page")
    return EffectPlace(int(at), id)
