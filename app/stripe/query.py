"""Parameters as the query of an address, in the form that Stripe reads: `created[gte]=1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode


def query_of(params: Mapping[str, Any]) -> str:
    """The query of decoded JSON without nulls; a list's items are numbered from 0."""
    return urlencode([pair for name, value in params.items() for pair in _pairs(name, value)])


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping | list):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _pairs(f"{name}[{key}]", part)
    elif isinstance(value, bool):
        yield name, str(value).lower()
    else:
        yield name, str(value)
