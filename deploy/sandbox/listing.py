"""Stripe's lists: newest first, paged by the id of an object."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

from deploy.sandbox import params
from deploy.sandbox.accounts import Scope
from deploy.sandbox.errors import no_such


class Listed(Protocol):
    """What can be listed."""

    id: str
    created: int


class Owned(Protocol):
    """What belongs to an account, in one mode."""

    @property
    def account(self) -> str:
        """Whose it is."""

    @property
    def livemode(self) -> bool:
        """In which mode."""


Item = TypeVar("Item", bound=Listed)
Own = TypeVar("Own", bound=Owned)

_SECONDS = params.integer(0, 10**12)
_BOUNDS: dict[str, params.Reader] = dict.fromkeys(("gt", "gte", "lt", "lte"), _SECONDS)


def _created(value: Any, name: str) -> dict[str, int]:
    """`created=1` as both bounds, `created[gte]=1` as one; in seconds since the epoch."""
    if isinstance(value, str):
        exact = _SECONDS(value, name)
        return {"gte": exact, "lte": exact}
    return dict(params.hash_of(_BOUNDS)(value, name))


PAGE: dict[str, params.Reader] = {
    "limit": params.integer(1, 100),
    "starting_after": params.string(),
    "ending_before": params.string(),
    "expand": params.array(params.string()),
}
CREATED: dict[str, params.Reader] = {"created": _created}


def visible(items: Iterable[Own], scope: Scope) -> list[Own]:
    """Those of one account and mode, in their order. A list may have a hundred thousand."""
    account, livemode = scope
    return [item for item in items if item.account == account and item.livemode == livemode]


def within(created: int, bounds: dict[str, int]) -> bool:
    """Whether a time lies within `gt`, `gte`, `lt`, `lte`."""
    return (
        created > bounds.get("gt", -1)
        and created >= bounds.get("gte", 0)
        and created < bounds.get("lt", 10**12)
        and created <= bounds.get("lte", 10**12)
    )


def page(
    everything: Sequence[Item],
    passes: Callable[[Item], bool],
    filters: dict[str, Any],
    kind: str,
) -> tuple[list[Item], bool]:
    """One page of what `passes`, newest first, and whether more follow.

    `everything` is in order of creation. The cursor may be any object of it, whether it
    passes or not. Raises StripeError if the cursor names none.
    """
    limit = filters.get("limit", 10)
    candidates = everything[::-1]
    if "starting_after" in filters:
        candidates = candidates[_find(candidates, filters, "starting_after", kind) + 1 :]
    if "ending_before" in filters:
        newer = candidates[: _find(candidates, filters, "ending_before", kind)]
        found = list(islice(filter(passes, reversed(newer)), limit + 1))
        return found[:limit][::-1], len(found) > limit
    found = list(islice(filter(passes, candidates), limit + 1))
    return found[:limit], len(found) > limit


def _find(items: Sequence[Item], filters: dict[str, Any], cursor: str, kind: str) -> int:
    for index, item in enumerate(items):
        if item.id == filters[cursor]:
            return index
    raise no_such(kind, filters[cursor], cursor, status=400)


def render(url: str, data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
