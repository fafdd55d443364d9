"""Whether an open session can become what is asked for now, and by which changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.level import DOCUMENT_TYPES, Level, document_options, is_on
from app.domain.options import FLAGS

# What an update can change (https://docs.stripe.com/api/identity/verification_sessions/update).
CHANGEABLE = frozenset({"type", "options", "metadata", "provided_details"})
# What is fixed at creation and shown by the session. `return_url` is fixed too, but not shown.
FIXED = frozenset({"related_customer", "related_customer_account", "related_person"})
# The reference is why the session was found; the flow is compared by its own rule.
_OTHERWISE = frozenset({"client_reference_id", "verification_flow", "return_url"})


def needs_another(session: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether a session as Stripe shows it cannot become what the parameters ask for.

    So it is if the flow differs, or else what is fixed, or if there is a parameter that we do not
    know and so cannot compare. The return address is not shown, and not compared here.
    """
    if (session.get("verification_flow") or None) != (asked.get("verification_flow") or None):
        return True
    if any(name in asked and session.get(name) != asked[name] for name in FIXED):
        return True
    return bool(asked.keys() - CHANGEABLE - FIXED - _OTHERWISE)


def changes(session: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the update that makes the session what is asked for; {} if it is.

    The level (type and options) becomes exactly the one asked for, also if that is a lower one.
    Metadata and provided details that nobody asks for now stay: a team keeps its own notes there.
    What is not of Stripe's form is passed on, for Stripe to refuse.
    """
    found: dict[str, Any] = {}
    type = asked.get("type")
    if type and session.get("type") not in (type, "verification_flow"):
        found["type"] = type
    options = _options(session, asked)
    if options:
        found["options"] = options
    for name in ("metadata", "provided_details"):
        different = _different(session.get(name), asked.get(name))
        if different is not None:
            found[name] = different
    return found


def _options(session: Mapping[str, Any], asked: Mapping[str, Any]) -> Any:
    """The options to set; None for none."""
    given = asked.get("options")
    if given is not None and not isinstance(given, Mapping):
        return given
    given = given or {}
    if asked.get("verification_flow") and not given:
        return None  # they are the flow's own
    # A check of ours is `document`; what else there is, is as the caller says.
    found = {name: value for name, value in given.items() if name != "document"}
    shown = session.get("options") or {}
    found = {name: value for name, value in found.items() if not _same(shown.get(name), value)}
    document = given.get("document") or {}
    if not isinstance(document, Mapping):
        return {**found, "document": document}
    current, wanted = Level.of(session), Level.of(asked)
    others = {name: document[name] for name in document.keys() - {*FLAGS, "allowed_types"}}
    shown_document = document_options(session)
    if (current.flags, current.allowed_types) != (wanted.flags, wanted.allowed_types) or any(
        not _same(shown_document.get(name), value) for name, value in others.items()
    ):
        found["document"] = _whole_document(wanted, others)
    return found


def _whole_document(wanted: Level, others: Mapping[str, Any]) -> Any:
    """All options in full, so that it does not matter whether Stripe merges or replaces them."""
    plain = not wanted.flags and wanted.allowed_types == DOCUMENT_TYPES and not others
    if plain:
        return ""  # removes them
    return {
        "allowed_types": sorted(wanted.allowed_types),
        **{flag: flag in wanted.flags for flag in FLAGS},
        **others,
    }


def _different(shown: Any, asked: Any) -> Any:
    """Of what is asked for, what the session does not have; None if it has all."""
    shown = shown if isinstance(shown, Mapping) else {}
    if asked is None:
        return None
    if not isinstance(asked, Mapping):  # "" removes all
        return None if asked == "" and not shown else asked
    different = {
        name: value for name, value in asked.items() if not _same(shown.get(name, ""), value)
    }
    return different or None


def _same(shown: Any, asked: Any) -> bool:
    """Whether the session shows what is asked for, in JSON's or a form's values."""
    if isinstance(shown, bool):
        return shown == is_on(asked)
    if isinstance(asked, bool):
        asked = str(asked).lower()
    return bool(shown == asked or str(shown) == str(asked))
