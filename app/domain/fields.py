"""The forms that Stripe documents for a field, checked: what has another form is not Stripe's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.domain.errors import UnreadableEvent

# Stripe's ids and enum values. Text of any other form could carry anything.
TOKEN = re.compile(r"[A-Za-z0-9_.\-]{1,255}\Z")
# Ids become part of RQ's job ids, which allow no dot.
ID = re.compile(r"[A-Za-z0-9_\-]{1,255}\Z")
# Accounts from an organization down: platform, connected account, recipient.
ACCOUNT_PATH = re.compile(r"[A-Za-z0-9_\-]{1,255}(/[A-Za-z0-9_\-]{1,255}){0,2}\Z")
MAX_REFERENCE = 5_000  # characters: Stripe's limit on client_reference_id
# What a standing may be for. Short and plain, as it stands in addresses, keys and tables.
PURPOSE = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
PURPOSE_FORM = "a purpose has 1 to 64 letters, digits and _.-"
MAX_TIME = 253_402_300_799  # the last second of the year 9999


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """`value`, an object. Raises UnreadableEvent that names `where`."""
    if not isinstance(value, Mapping):
        raise UnreadableEvent(f"{where} is not an object")
    return value


def optional_mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of this name; an empty one if it is null or absent."""
    return {} if fields.get(name) is None else mapping(fields[name], name)


def token(fields: Mapping[str, Any], name: str, form: re.Pattern[str] = TOKEN) -> str:
    """The text of this name. Raises UnreadableEvent if it does not match `form`."""
    value = fields.get(name)
    if not isinstance(value, str) or not form.match(value):
        raise UnreadableEvent(f"{name} is not of the form Stripe documents")
    return value


def optional_token(
    fields: Mapping[str, Any], name: str, form: re.Pattern[str] = TOKEN
) -> str | None:
    """The same; None if it is null or absent."""
    return None if fields.get(name) is None else token(fields, name, form)


def time(fields: Mapping[str, Any], name: str) -> int:
    """The Unix time of this name, in whole seconds."""
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= MAX_TIME:
        raise UnreadableEvent(f"{name} is not a time in whole seconds")
    return value


def flag(fields: Mapping[str, Any], name: str) -> bool:
    """The boolean of this name."""
    value = fields.get(name)
    if not isinstance(value, bool):
        raise UnreadableEvent(f"{name} is not true or false")
    return value


def usable_reference(value: object) -> str | None:
    """`value` if it can name a user in every store, else None.

    No database holds a NUL or a lone surrogate, and Stripe allows no more than 5,000 characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_REFERENCE or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value
