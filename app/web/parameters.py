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
from app.domain.fields import ACCOUNT_PATH, ID
from app.web.body import read_body

MAX_BODY = 128 * 1024  # bytes
MAX_FIELDS = 1_000
MAX_DEPTH = 6  # Stripe's deepest parameter has four levels
MAX_EXPAND = 20
MAX_NAME = 80  # characters of a name that an answer quotes
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


def path_id(request: Request, of: str, *, param: str) -> str:
    """The path's `id`, of one of Stripe's objects. Raises BadParameter if it cannot be one."""
    id: str = request.path_params["id"]
    if not ID.match(id):
        raise BadParameter(f"that is not the id of a {of}", param=param)
    return id


def stripe_account(request: Request) -> str:
    """The account that Stripe-Account or Stripe-Context names, "" for the team's own."""
    named = {request.headers.get(name, "") for name in ("stripe-account", "stripe-context")} - {""}
    if len(named) > 1:
        raise BadParameter("Stripe-Account and Stripe-Context name two accounts")
    account = next(iter(named), "")
    if account and not ACCOUNT_PATH.match(account):
        raise BadParameter("Stripe-Account has to be an acct_… id, or a path of them")
    return account


def _read_json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadParameter("the body is not JSON that can be read") from None
    if not isinstance(found, dict):
        raise BadParameter("the body has to be a JSON object")
    for name, part in found.items():
        _refuse_unsendable_name(name)
        _refuse_unsendable(part, name, MAX_DEPTH - 1)
    return found


def _refuse_unsendable(found: Any, name: str, depth: int) -> None:
    """Raises BadParameter for what no form can carry: it cannot be sent on to Stripe."""
    if found is None:
        raise BadParameter(
            "null is no value: leave it out, or send an empty string to unset it",
            param=name[:MAX_NAME],
            code="parameter_invalid_empty",
        )
    if isinstance(found, str):
        _refuse_unsendable_text(found)
    elif isinstance(found, float) and not isfinite(found):
        raise BadParameter("the body holds a number that is not finite")
    elif isinstance(found, dict | list):
        if not depth:
            raise BadParameter(f"the body is nested more than {MAX_DEPTH} deep")
        for key, part in found.items() if isinstance(found, dict) else enumerate(found):
            if isinstance(key, str):
                _refuse_unsendable_name(key)
            _refuse_unsendable(part, f"{name}[{key}]", depth - 1)


def _refuse_unsendable_name(name: str) -> None:
    _refuse_unsendable_text(name)
    if not name:  # in a form it would be an item of a list
        raise BadParameter("a parameter's name is empty")
    # In a form they would make it another parameter's part, past what we read ourselves. In
    # metadata's keys Stripe takes none either: https://docs.stripe.com/api/metadata
    if "[" in name or "]" in name:
        raise BadParameter(
            "a parameter's name has no square brackets in JSON", param=name[:MAX_NAME]
        )


def _refuse_unsendable_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise BadParameter("the body holds text that is not Unicode") from None


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
            raise BadParameter(f"invalid parameter name: {name[:MAX_NAME]}")
        _put(found, keys, value, name)
    return {key: _lists(value) for key, value in found.items()}


def _put(found: dict[str, Any], keys: list[str], value: str, name: str) -> None:
    place = found
    for key in keys[:-1]:
        place = place.setdefault(key or str(len(place)), {})
        if not isinstance(place, dict):
            raise BadParameter("a parameter has a value and parts", param=name[:MAX_NAME])
    last = keys[-1] or str(len(place))
    if isinstance(place.get(last), dict):
        raise BadParameter("a parameter has a value and parts", param=name[:MAX_NAME])
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
                f"Received unknown parameter: {name[:MAX_NAME]}",
                param=name[:MAX_NAME],
                code="parameter_unknown",
            )
    return dict(found)


def take_expand(found: dict[str, Any]) -> tuple[str, ...]:
    """Remove and return `expand`: names of fields that Stripe leaves out by default."""
    expand = read_expand(found)
    found.pop("expand", None)
    return expand


def read_expand(found: Mapping[str, Any]) -> tuple[str, ...]:
    """`expand`, which stays where it is. Raises BadParameter if it is no list, or a long one."""
    expand = found.get("expand", [])
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
