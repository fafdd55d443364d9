"""A fault of a store in words that people can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Fault(NamedTuple):
    """What is wrong, and what to do about it; both may name {fields}."""

    says: str
    do: str


class Explanation(NamedTuple):
    """One fault, at one place: what a StoreFailure is made of."""

    message: str
    code: str
    advice: str


def explain(faults: Mapping[str, Fault], code: str, answer: str = "", **fields: str) -> Explanation:
    """The words for a fault; `answer` is the store's own code for it."""
    says = faults[code].says.format(**fields)
    return Explanation(f"{says} ({answer})" if answer else says, code, faults[code].do)
