"""What one environment variable is: its name, what it takes, what it means, and its default.

`environment.py` describes each variable once. The process reads its environment by that, and
docs/reference/settings.md is written from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any, Generic, TypeVar, cast

from starlette.datastructures import Secret

from app.configuration.addresses import (
    check_http_url,
    check_redis_url,
    check_stripe_url,
    parse_database_url,
)

T = TypeVar("T")
D = TypeVar("D")  # a default may be of another type: None

KEY = "variable"  # in a field's metadata


class Wrong(ValueError):
    """Several things are wrong with one value."""

    def __init__(self, problems: list[str]) -> None:
        """`problems` are lines that follow the variable's name, and quote nothing of it."""
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """What a value may look like.

    `read` raises ValueError with what is wrong, in words that follow the variable's name and never
    quote the value; Wrong, if there are several.
    """

    words: str
    read: Callable[[str], T]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    `default` is what the process uses if it is not set, and `if_unset` says what that means where
    the value itself does not. `needed_by` names the processes that do not start without it.
    """

    name: str
    group: str
    form: Form[Any]
    meaning: str
    default: Any
    if_unset: str
    needed_by: tuple[str, ...]


def variable(
    name: str,
    form: Form[T],
    default: D,
    meaning: str,
    *,
    group: str,
    if_unset: str = "",
    needed_by: tuple[str, ...] = (),
) -> T | D:
    """A dataclass' field that is read from the environment variable of this name."""
    described = Variable(name, group, form, meaning, default, if_unset, needed_by)
    described_field: Any = field(default_factory=lambda: default, metadata={KEY: described})
    return cast("T | D", described_field)


def variables_of(settings: Any) -> dict[str, Variable]:
    """The variables of a dataclass, by field, in its order."""
    described: tuple[Field[Any], ...] = fields(settings)
    return {each.name: each.metadata[KEY] for each in described}


def whole(minimum: int, maximum: int) -> Form[int]:
    """A whole number within these bounds."""
    words = f"a whole number from {minimum} to {maximum}"

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
            raise ValueError(f"has to be {words}")
        return int(text)

    return Form(words, read)


def choice(*options: str) -> Form[str]:
    """One of these words."""

    def read(text: str) -> str:
        if text not in options:
            raise ValueError(f"has to be {' or '.join(options)}")
        return text

    *first, last = (f"`{option}`" for option in options)
    return Form(f"{', '.join(first)} or {last}", read)


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("has to be 0 or 1")
    return text == "1"


def _function_path(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        raise ValueError("has to be package.module:function")
    return text


def _metadata_key(text: str) -> str:
    # https://docs.stripe.com/api/metadata: up to 40 characters, without square brackets.
    if len(text) > 40 or "[" in text or "]" in text:
        raise ValueError("has to be one metadata key: 40 characters at most, no square brackets")
    return text


def _stream_name(text: str) -> str:
    if not re.fullmatch(r"[\w:.\-]{1,128}", text) or text.startswith(("rq:", "identity:")):
        raise ValueError("has to be a name of letters, digits and _:.- that is not one of ours")
    return text


def _stripe_address(text: str) -> str:
    check_stripe_url(text)
    return text.rstrip("/")


def _callback_url(text: str) -> str:
    check_http_url(text)
    return text  # a slash at its end is part of the path, and no redirect is followed


def _redis_url(text: str) -> Secret:
    check_redis_url(text)
    return Secret(text)


def _database_url(text: str) -> Secret:
    parse_database_url(text)
    return Secret(text)


SWITCH = Form("`0` or `1`", _switch)
FUNCTION = Form("`package.module:function`", _function_path)
METADATA_KEY = Form("one metadata key", _metadata_key)
STREAM_NAME = Form("a name of letters, digits and `_:.-`, up to 128 characters", _stream_name)
STRIPE_ADDRESS = Form(
    "an `https://` address; `http://` for this host and, with keys of test mode, for a host whose "
    "name has no dot",
    _stripe_address,
)
CALLBACK_URL = Form("an `https://` or `http://` address", _callback_url)
REDIS_URL = Form(
    "`redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `rediss+sentinel://`", _redis_url
)
DATABASE_URL = Form("`postgres://`, `postgresql://` or `sqlite:///file`", _database_url)
HOST = Form("an address or name of this host", str)
