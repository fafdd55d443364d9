"""100,000 letters in one operation: previewed in flat memory, done at the workers' pace."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.valkey import Valkey
from app.operations.bulk.preview import READ_LETTERS, preview_operation
from app.operations.bulk.run import Carrier
from tests.operations.bulk.starting import EVENTS, meant, previewed, started
from tests.operations.dlq.test_scale import MANY, bury_all, tell
from tests.operations.replaying import complete, kilobytes
from tests.support.deployment import Deployment, opened_deployment
from tests.support.stores import migrated_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A server of its own that holds the letters, and an empty ledger."""
    folder = tmp_path_factory.mktemp("scale")
    with (
        Valkey(folder / "valkey", fsync="no") as server,
        opened_deployment(server.url, f"sqlite:///{migrated_file(folder)}") as deployment,
    ):
        bury_all(deployment.redis, MANY)
        yield deployment


def test_a_hundred_thousand_letters_are_previewed_and_replayed(many: Deployment) -> None:
    previewed(many)
    held, began = kilobytes(), time.monotonic()
    preview = previewed(many)
    tell(f"{MANY} letters previewed in {time.monotonic() - began:.1f} s")
    assert (preview.total, preview.hit) == (MANY, f"at least {READ_LETTERS} user(s)")
    assert kilobytes() - held < 10 * 1024

    began = time.monotonic()
    operation = started(many, EVENTS, digest=preview.digest)
    seconds = time.monotonic() - began
    tell(f"and started in {seconds:.2f} s")
    assert operation.total == MANY

    url = str(many.stores.settings.redis_url)
    workers = multiprocessing.get_context("spawn").Process(
        target=complete, args=(url,), daemon=True
    )
    workers.start()
    began = time.monotonic()
    ended = Carrier(
        many.stores, "a", now=time.time, wait=lambda seconds: bool(_pass(seconds))
    ).run_once()
    seconds = time.monotonic() - began
    workers.terminate()
    workers.join()
    tell(f"and done in {seconds:.1f} s: {MANY / seconds:.0f}/s")
    assert ended is not None
    assert (ended.state, ended.done, ended.failed, ended.gone) == ("done", MANY, 0, 0)
    # Workers apply some hundreds a second each; the tests share two cores with others.
    assert MANY / seconds > 300


def test_a_filter_over_twenty_thousand_letters_is_previewed_for_a_page_within_a_moment(
    tmp_path: Path,
) -> None:
    with (
        Valkey(tmp_path / "valkey", fsync="no") as server,
        opened_deployment(server.url, f"sqlite:///{migrated_file(tmp_path)}") as deployment,
    ):
        bury_all(deployment.redis, 20_000)
        chosen = meant(reason="permanent_error")

        def seconds(*, every: bool) -> float:
            began = time.process_time()
            found = preview_operation(deployment.stores, "replay", chosen, time.time(), every=every)
            assert found.total == (20_000 if every else READ_LETTERS)
            return time.process_time() - began

        for_a_page = min(seconds(every=False) for _ in range(3))
        of_all = seconds(every=True)
    tell(f"20000 letters by a filter: {for_a_page:.3f} s for a page, {of_all:.3f} s to count all")
    # Of this process' own time, which other processes do not lengthen.
    assert for_a_page < 0.25
    assert for_a_page < of_all / 2


def _pass(seconds: float) -> int:
    time.sleep(seconds)
    return 0
