"""Stripe's request parameters: forms with nested names, checked against what a call allows.

A reader takes a decoded value and its full name (`options[document]`), and returns the
value in the type the sandbox keeps; for what it cannot accept, it raises Stripe's error.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from deploy.sandbox.errors import (
    StripeError,
    invalid_parameter,
    missing_parameter,
    unknown_parameter,
)

Reader = Callable[[Any, str], Any]

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
# Deeper than any of Stripe's calls; without a limit a name could nest a million deep.
_MAX_DEPTH = 6
_MAX_FIELDS = 1000


def decode(form: bytes) -> dict[str, Any]:
    """A form or query string as nested dicts with string leaves.

    `a[b]=1` gives `{"a": {"b": "1"}}`; `a[]=1` and `a[0]=1` both give `{"a": {"0": "1"}}`.
    Raises StripeError for what is not a form.
    """
    try:
        pairs = parse_qsl(
            form.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as error:
        raise StripeError(400, "Invalid request: the parameters could not be decoded.") from error
    tree: dict[str, Any] = {}
    for name, value in pairs:
        _insert(tree, name, value)
    return tree


def _insert(tree: dict[str, Any], name: str, value: str) -> None:
    match = _NAME.match(name)
    keys = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else []
    if not 1 <= len(keys) <= _MAX_DEPTH:
        raise invalid_parameter(name[:100], f"Invalid parameter name: {name[:100]}")
    node = tree
    for key in keys[:-1]:
        node = node.setdefault(key or str(len(node)), {})
        if not isinstance(node, dict):
            raise invalid_parameter(name, f"Invalid hash: {name} is given as a string as well")
    last = keys[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise invalid_parameter(name, f"Invalid string: {name} is given as a hash as well")
    node[last] = value


def read(
    values: Mapping[str, Any],
    allowed: Mapping[str, Reader],
    required: tuple[str, ...] = (),
    under: str = "",
) -> dict[str, Any]:
    """The given parameters in their types; those not given are left out.

    Raises StripeError (`parameter_unknown`, `parameter_missing`, …) naming the parameter.
    """
    given: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{under}[{key}]" if under else key
        if key not in allowed:
            raise unknown_parameter(name)
        given[key] = allowed[key](value, name)
    for key in required:
        if key not in given:
            raise missing_parameter(f"{under}[{key}]" if under else key)
    return given


def string(max_length: int = 5000, clearable: bool = False) -> Reader:
    """Text of at most `max_length` characters; empty only if that clears the value."""

    def reader(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise invalid_parameter(name, f"Invalid string: {name}")
        if not value and not clearable:
            raise invalid_parameter(
                name,
                f"You passed an empty string for '{name}'. We assume empty values are an attempt "
                f"to unset a parameter; however '{name}' cannot be unset.",
                "parameter_invalid_empty",
            )
        if len(value) > max_length:
            raise invalid_parameter(
                name,
                f"Invalid string: {value[:20]}…; must be at most {max_length} characters",
                "parameter_invalid_string_length",
            )
        return value

    return reader


def choice(*choices: str) -> Reader:
    """One of the given words."""

    def reader(value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in choices:
            raise invalid_parameter(name, f"Invalid {name}: must be one of {', '.join(choices)}")
        return value

    return reader


def integer(low: int, high: int) -> Reader:
    """A whole number from `low` to `high`."""

    def reader(value: Any, name: str) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,15}", value):
            raise invalid_parameter(name, f"Invalid integer: {name}", "parameter_invalid_integer")
        if not low <= int(value) <= high:
            raise invalid_parameter(
                name,
                f"Invalid integer: {name} must be from {low} to {high}",
                "parameter_invalid_integer",
            )
        return int(value)

    return reader


def boolean(value: Any, name: str) -> bool:
    """`true` or `false`."""
    if value not in ("true", "false"):
        raise invalid_parameter(name, f"Invalid boolean: {name}")
    return bool(value == "true")


def url(value: Any, name: str) -> str:
    """An http or https address: no other scheme may ever reach a browser from here."""
    text = str(string(5000)(value, name))
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character <= " " for character in text):
        raise invalid_parameter(name, "Not a valid URL", "url_invalid")
    return text


def array(item: Reader, max_items: int = 100) -> Reader:
    """`name[]=` or `name[0]=`, in the order of the indices."""

    def reader(value: Any, name: str) -> list[Any]:
        if not isinstance(value, dict) or not all(re.fullmatch("[0-9]{1,4}", k) for k in value):
            raise invalid_parameter(name, f"Invalid array: {name}")
        if len(value) > max_items:
            raise invalid_parameter(name, f"Array too long: {name} takes at most {max_items}")
        return [item(value[key], f"{name}[{key}]") for key in sorted(value, key=int)]

    return reader


def hash_of(
    allowed: Mapping[str, Reader], required: tuple[str, ...] = (), clearable: bool = False
) -> Reader:
    """Named parameters under a name; if `clearable`, an empty string gives `""`."""

    def reader(value: Any, name: str) -> Any:
        if clearable and value == "":
            return ""
        if not isinstance(value, dict):
            raise invalid_parameter(name, f"Invalid hash: {name}")
        return read(value, allowed, required, name)

    return reader


def metadata(value: Any, name: str) -> dict[str, str]:
    """Keys of 40 and values of 500 characters: https://docs.stripe.com/api/metadata.

    An empty value unsets its key, and an empty string as a whole gives `{"": ""}`.
    """
    if value == "":
        return {"": ""}
    if not isinstance(value, dict):
        raise invalid_parameter(name, f"Invalid hash: {name}")
    for key, text in value.items():
        string(40)(key, f"{name} keys")
        string(500, clearable=True)(text, f"{name}[{key}]")
    return dict(value)


def merge_metadata(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Stripe's update of metadata: keys are added or replaced, empty values unset theirs.

    Raises StripeError for more than 50 keys.
    """
    if "" in new:
        return {}
    merged = {key: value for key, value in {**old, **new}.items() if value}
    if len(merged) > 50:
        raise invalid_parameter("metadata", "Metadata can have at most 50 keys.")
    return merged
