"""A request's parameters under Stripe's names: in JSON, a form, the query or a header."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from app.domain.errors import Rejected
from app.domain.fields import ID
from app.web.body import read_body

MAX_BODY = 128 * 1024  # bytes
MAX_FIELDS = 1_000
MAX_DEPTH = 6  # Stripe's deepest parameter has four levels
MAX_EXPAND = 20
# `options[document][allowed_types][]`: a name, then keys in brackets.
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")


class BadParameter(Rejected):
    """A parameter that cannot be accepted. The answer has Stripe's error shape."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        """`code` is one of Stripe's, as is the wording."""
        super().__init__(message)
        self.param = param
        self.code = code


async def read_parameters(request: Request) -> dict[str, Any]:
    """The body's parameters: JSON if its type says so, else a form as Stripe's clients send it.

    Raises BadParameter, BodyTooLarge, BodyTooSlow.
    """
    body = await read_body(request.scope, request.receive, MAX_BODY)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadParameter("the body is not UTF-8") from None
    if not text.strip():
        return {}
    type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type in ("", "application/x-www-form-urlencoded"):
        return nest(text)
    if type != "application/json":
        raise BadParameter("Content-Type has to be JSON's or a form's")
    return _read_json(text)


def query_parameters(request: Request) -> dict[str, Any]:
    """The query's parameters."""
    # Not `request.url`: it is built from the Host header, and may not be readable.
    return nest(request.scope["query_string"].decode("latin-1"))


def stripe_account(request: Request) -> str:
    """The connected account that the header Stripe-Account names, "" for the team's own."""
    account = request.headers.get("stripe-account", "")
    if account and not ID.match(account):
        raise BadParameter("Stripe-Account has to be an acct_… id")
    return account


def _read_json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadParameter("the body is not JSON that can be read") from None
    if not isinstance(found, dict):
        raise BadParameter("the body has to be a JSON object")
    _refuse_unsendable(found, MAX_DEPTH)
    return found


def _refuse_unsendable(found: Any, depth: int) -> None:
    """Raises BadParameter for what no form can carry: it cannot be sent on to Stripe."""
    if isinstance(found, str):
        try:
            found.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            raise BadParameter("the body holds text that is not Unicode") from None
    elif isinstance(found, float) and not isfinite(found):
        raise BadParameter("the body holds a number that is not finite")
    elif isinstance(found, dict | list):
        if not depth:
            raise BadParameter(f"the body is nested more than {MAX_DEPTH} deep")
        for part in [*found, *found.values()] if isinstance(found, dict) else found:
            _refuse_unsendable(part, depth - 1)


def nest(text: str) -> dict[str, Any]:
    """A form's `a[b][c]=1` and `d[]=2` as {"a": {"b": {"c": "1"}}, "d": ["2"]}."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise BadParameter("a parameter is not UTF-8") from None
    except ValueError:
        raise BadParameter(f"the form has over {MAX_FIELDS} fields") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        match = _NAME.match(name)
        keys = [] if match is None else [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if not 0 < len(keys) <= MAX_DEPTH:
            raise BadParameter(f"invalid parameter name: {name[:80]}")
        _put(found, keys, value, name)
    return {key: _lists(value) for key, value in found.items()}


def _put(found: dict[str, Any], keys: list[str], value: str, name: str) -> None:
    place = found
    for key in keys[:-1]:
        place = place.setdefault(key or str(len(place)), {})
        if not isinstance(place, dict):
            raise BadParameter("a parameter has a value and parts", param=name[:80])
    last = keys[-1] or str(len(place))
    if isinstance(place.get(last), dict):
        raise BadParameter("a parameter has a value and parts", param=name[:80])
    place[last] = value


def _lists(found: Any) -> Any:
    """Objects whose keys are 0, 1, 2, … are lists: `a[]=x` and `a[0]=x` mean the same."""
    if not isinstance(found, dict):
        return found
    parts = {key: _lists(value) for key, value in found.items()}
    numbers = [str(number) for number in range(len(parts))]
    if parts and set(parts) == set(numbers):
        return [parts[number] for number in numbers]
    return parts


def reject_unknown(found: Mapping[str, Any], allowed: Collection[str]) -> dict[str, Any]:
    """The parameters, if all are in `allowed`. Raises BadParameter in Stripe's wording."""
    for name in found:
        if name not in allowed:
            raise BadParameter(
                f"Received unknown parameter: {name[:80]}",
                param=name[:80],
                code="parameter_unknown",
            )
    return dict(found)


def take_expand(found: dict[str, Any]) -> tuple[str, ...]:
    """Remove and return `expand`: names of fields that Stripe leaves out by default."""
    expand = found.pop("expand", [])
    if not isinstance(expand, list) or not all(isinstance(name, str) for name in expand):
        raise BadParameter("expand has to be a list of names", param="expand")
    if len(expand) > MAX_EXPAND:
        raise BadParameter(f"expand has over {MAX_EXPAND} names", param="expand")
    return tuple(expand)


def take_flag(found: dict[str, Any], name: str) -> bool:
    """Remove and return a true-or-false parameter; false if it is missing."""
    value = found.pop(name, False)
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise BadParameter(f"{name} has to be true or false", param=name)
