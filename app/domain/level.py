"""The level of a check: what a session asks of the person, and whether that is enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.options import FLAGS

# All that Stripe knows: to allow all is to allow any, which is Stripe's default.
DOCUMENT_TYPES = frozenset({"driving_license", "id_card", "passport"})


@dataclass(frozen=True, slots=True)
class Level:
    """A check by Stripe's names. Two sessions of one level ask the same of the person."""

    type: str | None
    verification_flow: str | None
    flags: frozenset[str]  # of `options.FLAGS`, those that are on
    allowed_types: frozenset[str]  # of documents

    @classmethod
    def of(cls, session: Mapping[str, Any]) -> Level:
        """That of a VerificationSession, or of the parameters of one, in JSON's or a form's values.

        What is not of Stripe's form counts as absent: Stripe refuses it.
        """
        document = document_options(session)
        types = document.get("allowed_types")
        allowed = frozenset(map(str, types)) if isinstance(types, list) else frozenset()
        return cls(
            type=session.get("type") or None,
            verification_flow=session.get("verification_flow") or None,
            flags=frozenset(flag for flag in FLAGS if is_on(document.get(flag))),
            allowed_types=allowed or DOCUMENT_TYPES,
        )


def satisfies(done: Level, asked: Level) -> bool:
    """Whether who has passed `done` need not pass `asked`.

    Stripe says nothing of it; our reading is:

    - A verification flow is only known at Stripe: it does for itself, and for nothing else.
    - A document check does for one that requires no more, if it allowed no document that this one
      does not allow.
    - With an id number, it does for an id number check too, which is then made "with the document's
      extracted name and date of birth"
      (https://docs.stripe.com/api/identity/verification_sessions/create).
    - An id number check has seen no document, and does for no document check.
    """
    if done.verification_flow != asked.verification_flow:
        return False
    if asked.verification_flow is None and asked.type == "id_number":
        # `options.document` does not apply to it.
        return done.type == "id_number" or _has_id_number(done)
    if asked.verification_flow is None and done.type != asked.type:
        return False
    return done.flags >= asked.flags and done.allowed_types <= asked.allowed_types


def _has_id_number(level: Level) -> bool:
    return level.type == "document" and "require_id_number" in level.flags


def document_options(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `options.document` of a session, or of the parameters of one; empty if it has none."""
    options = session.get("options")
    document = options.get("document") if isinstance(options, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def is_on(value: object) -> bool:
    """Whether a flag is set: `true` in JSON, or its text in a form."""
    return value is True or value == "true"
