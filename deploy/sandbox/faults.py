"""What goes wrong in the API on purpose: faults for the next requests, and a rate limit."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

_MAX_DELAY = 600


@dataclass
class Fault:
    """Happens to the next `times` requests of `method` (None: any) under the path.

    After `delay` seconds the request is answered with `status`, and the error's `code` if one is
    given (404 and `resource_missing`: as if there were none); without a status it is executed as
    usual. `hang_up` closes the connection: True instead of executing, `"after"` once executed,
    so that only the answer is lost. The answer is `late` by so many seconds: it says what was true,
    and has the `Date` of, when it was made.
    """

    path: str = "/v1/"
    method: str | None = None
    status: int | None = None
    code: str | None = None
    times: int = 1
    retry_after: int | None = None
    delay: float = 0.0
    hang_up: bool | str = False
    late: float = 0.0


class Faults:
    """The faults still to happen, in the order they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, given: Mapping[str, Any]) -> None:
        """Add a fault. Raises ValueError with one line for the caller."""
        known = asdict(Fault())
        for name in given:
            if name not in known:
                raise ValueError(f"unknown field {name!r}; there are: {', '.join(known)}")
        for name, (test, expected) in _TESTS.items():
            if name in given and not test(given[name]):
                raise ValueError(f"{name} must be {expected}")
        fault = Fault(**given)
        if fault.status is None and not (fault.delay or fault.hang_up or fault.late):
            raise ValueError("give at least one of status, delay, hang_up and late")
        self._faults.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that happens to this request; each is taken `times` times."""
        for fault in self._faults:
            if fault.method in (None, method) and path.startswith(fault.path):
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def render(self) -> list[dict[str, Any]]:
        """As JSON; `times` is how often each will still happen."""
        return [asdict(fault) for fault in self._faults]


class RateLimit:
    """At most `per_second` requests in each second; None for no limit."""

    def __init__(self) -> None:
        self.per_second: int | None = None
        self._second = 0
        self._taken = 0

    def allows(self, now: float) -> bool:
        """Count a request at `now`, in seconds; False for one too many."""
        if int(now) != self._second:
            self._second, self._taken = int(now), 0
        self._taken += 1
        return self.per_second is None or self._taken <= self.per_second


def is_whole(value: Any, low: int, high: int) -> bool:
    """Whether a JSON value is a whole number from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: Any, low: float, high: float) -> bool:
    """Whether a JSON value is a number from `low` to `high`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


_TESTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "path": (lambda v: isinstance(v, str) and v.startswith("/"), "a path such as /v1/events"),
    "method": (lambda v: v in (None, "GET", "POST", "DELETE"), "GET, POST, DELETE or null"),
    "status": (lambda v: v is None or is_whole(v, 400, 599), "an HTTP status from 400 to 599"),
    "code": (lambda v: v is None or isinstance(v, str), "the code of an error, or null"),
    "times": (lambda v: is_whole(v, 1, 1_000_000), "a whole number from 1"),
    "retry_after": (lambda v: v is None or is_whole(v, 0, 86_400), "whole seconds or null"),
    "delay": (lambda v: is_number(v, 0, _MAX_DELAY), f"seconds from 0 to {_MAX_DELAY}"),
    "late": (lambda v: is_number(v, 0, _MAX_DELAY), f"seconds from 0 to {_MAX_DELAY}"),
    "hang_up": (lambda v: isinstance(v, bool) or v == "after", 'true, false or "after"'),
}
