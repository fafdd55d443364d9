"""A carrier of operations in this process, whose time passes while it waits."""

from __future__ import annotations

from collections.abc import Callable

from app.ledger.operations import Operation
from app.operations.bulk.run import Carrier
from tests.support.deployment import Deployment, letter
from tests.support.workers import NOW


class Hands:
    """A carrier whose time passes while it waits; `meanwhile` is what happens then."""

    def __init__(self, deployment: Deployment, holder: str = "a", late: float = 0) -> None:
        self.seconds = late
        self.ending = False
        worker = deployment.worker()
        self.meanwhile: Callable[[], object] = worker.run_once
        self.carrier = Carrier(
            deployment.stores,
            holder,
            now=lambda: NOW + self.seconds,
            clock=lambda: self.seconds,
            wait=self._wait,
        )

    def also(self, happens: Callable[[], object]) -> None:
        """The same meanwhile, and this after it."""
        before = self.meanwhile

        def both() -> None:
            before()
            happens()

        self.meanwhile = both

    def _wait(self, seconds: float) -> bool:
        self.seconds += seconds
        self.meanwhile()
        return self.ending

    def run(self) -> Operation:
        found = self.carrier.run_once()
        assert found is not None
        return found


def bury(deployment: Deployment, number: int) -> None:
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in range(number)))


def row(deployment: Deployment, operation: Operation) -> Operation:
    found = deployment.stores.operations.get(operation.id)
    assert found is not None
    return found
