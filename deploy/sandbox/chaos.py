"""What may go wrong between Stripe and a receiver, decided by the given randomness."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# Seconds an event is held back, for others to overtake it, and until a duplicate follows.
_HELD_BACK = (0.05, 1.0)


@dataclass
class Chaos:
    """The odds (0 to 1) of a duplicate, a reordering, a drop; a delay from and to, in seconds."""

    duplicate: float = 0.0
    reorder: float = 0.0
    delay: tuple[float, float] = (0.0, 0.0)
    drop: float = 0.0
    second_secret: str | None = None
    seed: int | None = None
    randomness: random.Random = field(default_factory=random.Random, repr=False)

    def plan(self) -> list[tuple[float, bool]]:
        """One event's copies: how late each is, in seconds, and whether it keeps its place.

        An empty list is an event that is never delivered.
        """
        chance = self.randomness.random
        if chance() < self.drop:
            return []
        late = self.randomness.uniform(*self.delay)
        if chance() < self.reorder:
            copies = [(late + self.randomness.uniform(*_HELD_BACK), False)]
        else:
            copies = [(late, True)]
        if chance() < self.duplicate:
            for _ in range(self.randomness.randint(1, 2)):
                copies.append((copies[0][0] + self.randomness.uniform(*_HELD_BACK), False))
        return copies

    def change(self, given: Mapping[str, Any]) -> None:
        """Set the given fields, all or none. Raises ValueError with one line for the caller."""
        fields = {name: value for name, value in asdict(self).items() if name != "randomness"}
        for name, value in given.items():
            if name not in fields:
                raise ValueError(f"unknown field {name!r}; there are: {', '.join(fields)}")
            fields[name] = _READERS[name](name, value)
        for name, value in fields.items():
            setattr(self, name, value)
        if "seed" in given:
            self.randomness.seed(self.seed)

    def render(self) -> dict[str, Any]:
        """As JSON."""
        fields = asdict(self)
        del fields["randomness"]
        return {**fields, "delay": list(self.delay)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _probability(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1")
    return float(value)


def _delay(name: str, value: Any) -> tuple[float, float]:
    bounds = value if isinstance(value, list) else [value, value]
    if len(bounds) != 2 or not all(_is_number(b) and 0 <= b <= 86_400 for b in bounds):
        raise ValueError(f"{name} must be seconds, or [from, to] in seconds, up to a day")
    if bounds[0] > bounds[1]:
        raise ValueError(f"{name} must go from the lower to the higher")
    return float(bounds[0]), float(bounds[1])


def _secret(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and value.startswith("whsec_")):
        raise ValueError(f"{name} must be null or start with whsec_")
    return value


def _seed(name: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{name} must be a whole number or null")
    return value


_READERS = {
    "duplicate": _probability,
    "reorder": _probability,
    "delay": _delay,
    "drop": _probability,
    "second_secret": _secret,
    "seed": _seed,
}
