"""Holds an answer to the types of the `stripe` package, stricter than a type checker would.

A breach is a required field that is absent or null, a field that the type does not know, a value of
another type, and a value outside the literals: Stripe's open enums end in `str`, the sandbox's do
not. Python's `Optional` is both a field that may be left out and one that may be null. Node's types
tell them apart (`?: T`, `T | null`): what they say stands in `NEVER_NULL` and `NEVER_ABSENT`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

from stripe import StripeObject
from stripe._stripe_object import UntypedStripeObject
from stripe.identity import VerificationReport

# What the package's annotations name by a word, and import for type checkers only.
_FORWARD: dict[str, type[StripeObject]] = {"VerificationReport": VerificationReport}

# Left out where there is none (`?: T` in the types of Node's package, 23.1.0).
NEVER_NULL = {
    "VerificationReport": (
        *("document", "email", "id_number", "options", "phone", "selfie", "verification_flow"),
    ),
    "VerificationSession": ("related_person", "verification_flow"),
    "VerificationSession.Options": ("document", "email", "id_number", "matching", "phone"),
    "VerificationSession.ProvidedDetails": ("email", "phone"),
    "Event": ("account", "context"),
}
# Null where there is none (`: T | null`).
NEVER_ABSENT = {
    "VerificationSession": (
        *("client_reference_id", "client_secret", "last_error", "last_verification_report"),
        *("options", "redaction", "related_customer", "related_customer_account", "url"),
    ),
    "VerificationSession.LastError": ("code", "reason"),
    "VerificationSession.VerifiedOutputs": (
        *("address", "email", "first_name", "id_number_type", "last_name", "phone"),
    ),
    "VerificationReport": ("client_reference_id", "verification_session"),
    "VerificationReport.Document": (
        *("address", "error", "files", "first_name", "issued_date", "issuing_country"),
        *("last_name", "type"),
    ),
    "VerificationReport.IdNumber": ("error", "first_name", "id_number_type", "last_name"),
    "VerificationReport.Selfie": ("document", "error", "selfie"),
    "VerificationReport.Email": ("email", "error"),
    "VerificationReport.Phone": ("error", "phone"),
    "Event": ("api_version", "request"),
}
# Values outside the literals, each with where Stripe has it from.
KNOWN_VALUES = {
    # The description of `options.document.allowed_types`.
    ("VerificationSession.LastError", "code"): ("document_type_not_allowed",),
}


def breaches(value: Any, cls: type[StripeObject], at: str = "") -> Iterator[str]:
    """What of a JSON object the class does not allow, one line each."""
    name = cls.__qualname__
    if not isinstance(value, Mapping):
        yield f"{at}: {value!r} is not a {name}"
        return
    if issubclass(cls, UntypedStripeObject):
        return
    hints = _hints(cls)
    for field in value.keys() - hints.keys():
        yield f"{at}.{field}: {name} does not know it"
    for field, hint in hints.items():
        if field not in value:
            if type(None) not in get_args(hint) or field in NEVER_ABSENT.get(name, ()):
                yield f"{at}.{field}: absent"
        elif value[field] is None and field in NEVER_NULL.get(name, ()):
            yield f"{at}.{field}: null, where it is to be left out"
        elif value[field] not in KNOWN_VALUES.get((name, field), ()):
            yield from _misfits(value[field], hint, f"{at}.{field}")


def _misfits(value: Any, hint: Any, at: str) -> Iterator[str]:
    """What is wrong with a value for a type; of a union, what is wrong for the nearest member."""
    origin = get_origin(hint) or hint
    if isinstance(hint, ForwardRef):
        yield from breaches(value, _FORWARD[hint.__forward_arg__], at)
    elif origin is Union:
        yield from min((list(_misfits(value, m, at)) for m in _members(hint, value)), key=len)
    elif origin is Literal:
        if value not in get_args(hint):
            yield f"{at}: {value!r} is none of {get_args(hint)}"
    elif origin is list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _misfits(item, get_args(hint)[0], f"{at}[{index}]")
    elif isinstance(origin, type) and issubclass(origin, StripeObject):
        yield from breaches(value, origin, at)
    elif type(value) is not origin:
        yield f"{at}: {value!r} is not of {hint}"


def _members(union: Any, value: Any) -> list[Any]:
    """The members of a union that a value may be of.

    The `str` of an open enum is for what Stripe may add, not for us.
    """
    members = [m for m in get_args(union) if (m is type(None)) == (value is None)]
    if not members:
        return list(get_args(union))
    is_enum = any(get_origin(member) is Literal for member in members)
    return [member for member in members if not (is_enum and member is str)]


def _hints(cls: type[StripeObject]) -> dict[str, Any]:
    """The fields of Stripe's object with their types; `deleted` is a deleted one's alone."""
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("stripe.") and base not in StripeObject.__mro__:
            hints |= inspect.get_annotations(base)
    return {
        name: hint
        for name, hint in hints.items()
        if not name.startswith("_") and name not in ("OBJECT_NAME", "LOOKUP_TYPE", "deleted")
    }
