"""The options of a session that decide how strong its check is, as one canonical text.

Two sessions ask for the same check if their type, their verification flow and this text are equal.
Stripe's other options (`email`, `phone`, `matching`) do not come from the caller: they are the
verification flow's, and the package has no parameters for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.domain.errors import UnreadableEvent
from app.domain.fields import TOKEN, optional_mapping

FLAGS = ("require_id_number", "require_live_capture", "require_matching_selfie")

# In the queue each known option is a letter: the text would take a fifth of an event's room.
_LETTERS = {
    "driving_license": "d",
    "id_card": "i",
    "passport": "p",
    "require_id_number": "N",
    "require_live_capture": "L",
    "require_matching_selfie": "S",
}


def read_options(session: Mapping[str, Any]) -> str | None:
    """The canonical text of `options.document` of a session, or of the parameters of one.

    `{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}`: types sorted, only
    flags that are true, None if nothing is left. Raises UnreadableEvent if a field does not have
    the form Stripe documents.
    """
    document = optional_mapping(optional_mapping(session, "options"), "document")
    if not document:
        return None
    types = document.get("allowed_types") or ()
    if not isinstance(types, (list, tuple)):
        raise UnreadableEvent("allowed_types is not a list")
    if any(not isinstance(each, str) or not TOKEN.match(each) for each in types):
        raise UnreadableEvent("allowed_types is not of the form Stripe documents")
    return _canonical(tuple(types), tuple(flag for flag in FLAGS if document.get(flag) is True))


@lru_cache(maxsize=256)  # a team uses one or two combinations
def _canonical(types: tuple[str, ...], flags: tuple[str, ...]) -> str | None:
    document: dict[str, Any] = {"allowed_types": sorted(set(types))} if types else {}
    document.update(dict.fromkeys(flags, True))
    if not document:
        return None
    return json.dumps({"document": document}, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=256)
def pack_options(options: str | None) -> str:
    """A shorter text for the queue: "" for None, letters if all is known, else as it is."""
    if options is None:
        return ""
    document = json.loads(options)["document"]
    names = [*document.get("allowed_types", ()), *(flag for flag in FLAGS if flag in document)]
    if any(name not in _LETTERS for name in names):
        return options
    return "".join(_LETTERS[name] for name in names)


@lru_cache(maxsize=256)
def unpack_options(packed: str) -> str | None:
    """The text that `pack_options` was given."""
    if packed.startswith("{"):
        return packed
    names = [name for name, letter in _LETTERS.items() if letter in packed]
    return _canonical(
        tuple(name for name in names if name not in FLAGS),
        tuple(name for name in names if name in FLAGS),
    )
