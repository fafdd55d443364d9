"""Nothing is answered before it is safe, and nobody's enqueuing waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from redis import Redis

from app.domain.errors import JobRefused, QueueUnavailable
from app.local.valkey import Valkey
from app.queue import confirming
from app.queue.batching import TOO_SLOW, EnqueueBatcher
from app.queue.confirming import Confirmer
from app.queue.connection import open_redis
from app.queue.model import EVENTS, NewJob
from tests.queue.enqueuing import enqueuing
from tests.support.places import new


class Safe:
    """A durability whose waits last until the test lets them end."""

    def __init__(self) -> None:
        self.waits: list[list[str]] = []
        self.gates: list[asyncio.Event] = []
        self.failure: Exception | None = None

    def at_once(self) -> bool:
        return False

    async def confirm(self, ids: Sequence[str]) -> None:
        self.waits.append(list(ids))
        self.gates.append(asyncio.Event())
        await self.gates[-1].wait()
        if self.failure is not None:
            raise self.failure


class Taking:
    """A queue that takes every job at once, but refuses `evt_refused`."""

    def __init__(self) -> None:
        self.calls = 0

    async def enqueue_all(self, jobs: Sequence[NewJob]) -> list[str | Exception]:
        self.calls += 1
        refused = JobRefused("WRONGTYPE")
        return [refused if job.id == "evt_refused" else "enqueued" for job in jobs]


async def turns() -> None:
    """Let everything run as far as it comes."""
    for _ in range(10):
        await asyncio.sleep(0)


def batcher_with(safe: Safe) -> tuple[EnqueueBatcher, Taking, Confirmer]:
    queue, confirmer = Taking(), Confirmer(safe)
    return EnqueueBatcher(queue, answer=confirmer.answer), queue, confirmer


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_awaited(test), 60))


async def _awaited(test: Callable[[], Awaitable[None]]) -> None:
    await test()


def test_enqueuing_goes_on_during_a_wait_and_is_covered_by_the_next() -> None:
    async def test() -> None:
        safe = Safe()
        batcher, queue, confirmer = batcher_with(safe)
        first = batcher.submit(new("evt_1"))
        await turns()
        others = [batcher.submit(new("evt_2")), batcher.submit(new("evt_3"))]
        await turns()
        assert queue.calls == 2
        assert safe.waits == [["evt_1"]]
        assert not any(outcome.done() for outcome in (first, *others))
        safe.gates[0].set()
        await turns()
        assert first.result() == "enqueued"
        assert not any(outcome.done() for outcome in others)  # the wait began before they came
        assert safe.waits[1:] == [["evt_2", "evt_3"]]
        safe.gates[1].set()
        await confirmer.close()
        assert [outcome.result() for outcome in others] == ["enqueued", "enqueued"]

    run(test)


def test_a_wait_that_fails_is_told_to_those_who_waited_and_to_no_other() -> None:
    async def test() -> None:
        safe = Safe()
        batcher, _, confirmer = batcher_with(safe)
        waited = batcher.submit(new("evt_1"))
        await turns()
        later = batcher.submit(new("evt_2"))
        await turns()
        safe.failure = QueueUnavailable("not on the disk")
        safe.gates[0].set()
        await turns()
        with pytest.raises(QueueUnavailable, match="not on the disk"):
            waited.result()
        safe.failure = None
        safe.gates[1].set()
        await confirmer.close()
        assert later.result() == "enqueued"

    run(test)


def test_a_refused_job_is_told_at_once() -> None:
    async def test() -> None:
        safe = Safe()
        batcher, _, _ = batcher_with(safe)
        refused = batcher.submit(new("evt_refused"))
        await turns()
        assert safe.waits == []
        with pytest.raises(JobRefused):
            refused.result()

    run(test)


def test_more_than_can_be_held_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "MAX_HELD", 2)

    async def test() -> None:
        safe = Safe()
        batcher, _, confirmer = batcher_with(safe)
        outcomes = [batcher.submit(new(f"evt_{n}")) for n in range(3)]
        await turns()
        with pytest.raises(QueueUnavailable, match=TOO_SLOW):
            outcomes[2].result()
        safe.gates[0].set()
        await confirmer.close()
        assert [outcome.result() for outcome in outcomes[:2]] == ["enqueued", "enqueued"]

    run(test)


def test_the_end_of_the_event_loop_leaves_nobody_waiting() -> None:
    async def test() -> list[asyncio.Future[str]]:
        batcher, _, _ = batcher_with(Safe())
        outcomes = [batcher.submit(new("evt_1"))]
        await turns()
        outcomes.append(batcher.submit(new("evt_2")))
        await turns()
        return outcomes

    assert all(outcome.cancelled() for outcome in asyncio.run(test()))


# --- over a real server ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def syncing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server whose appendfsync tests change; `everysec` before each."""
    with Valkey(tmp_path_factory.mktemp("valkey"), fsync="everysec") as server:
        yield server


@pytest.fixture
def admin(syncing: Valkey) -> Iterator[Redis]:
    """A client of it, to look and to change."""
    with open_redis(syncing.url) as client:
        client.flushall()
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "everysec")
        yield client


def count(redis: Redis, *names: str) -> int:
    """How often these commands were called."""
    stats = redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


def test_under_everysec_an_answer_comes_when_the_disk_has_it(syncing: Valkey, admin: Redis) -> None:
    async def test() -> None:
        async with enqueuing(syncing.url) as batcher:
            outcomes = [batcher.submit(new(f"evt_{n}")) for n in range(50)]
            assert await asyncio.gather(*outcomes) == ["enqueued"] * 50
            assert await batcher.submit(new("evt_1")) == "duplicate"

    admin.config_resetstat()
    run(test)
    assert 2 <= count(admin, "waitaof") <= 6  # one of them the question whether it knows it


def test_nothing_is_answered_while_the_disk_does_not_have_it(syncing: Valkey, admin: Redis) -> None:
    async def test() -> None:
        async with enqueuing(syncing.url) as batcher:
            assert await batcher.submit(new("evt_1")) == "enqueued"
            admin.config_set("appendfsync", "no")  # from here on no sync comes
            held = batcher.submit(new("evt_2"))
            duplicate = batcher.submit(new("evt_2"))
            while not await asyncio.to_thread(waiting, admin):
                await asyncio.sleep(0.01)
            assert admin.llen("rq:queue:" + EVENTS.rq_name) == 2
            assert not held.done()
            assert not duplicate.done()
            admin.config_set("appendfsync", "everysec")
            assert await held == "enqueued"
            assert await duplicate == "duplicate"

    run(test)


def waiting(admin: Redis) -> bool:
    """Whether a client waits in the server."""
    return bool(admin.info("clients")["blocked_clients"])


def test_a_sync_that_does_not_come_in_time_is_told(
    syncing: Valkey, admin: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "WAIT_TIMEOUT", 0.1)

    async def test() -> None:
        async with enqueuing(syncing.url) as batcher:
            monkeypatch.setattr(confirming, "WAIT_TIMEOUT", 4.0)
            await batcher.submit(new("evt_1"))
            monkeypatch.setattr(confirming, "WAIT_TIMEOUT", 0.1)
            admin.config_set("appendfsync", "no")
            with pytest.raises(QueueUnavailable, match="not on the disk of Redis"):
                await batcher.submit(new("evt_2"))

    run(test)


def test_what_a_crash_loses_during_the_wait_is_not_answered_as_taken(tmp_path: Path) -> None:
    async def test(server: Valkey, admin: Redis) -> None:
        async with enqueuing(server.url) as batcher:
            await batcher.submit(new("evt_1"))
            admin.config_set("appendfsync", "no")
            held = batcher.submit(new("evt_2"))
            while not await asyncio.to_thread(waiting, admin):
                await asyncio.sleep(0.01)
            server.kill()
            for file in server.folder.glob("appendonlydir/*.incr.aof"):
                file.write_bytes(b"")  # as if the disk had had none of it
            server.start()
            with pytest.raises(QueueUnavailable, match="lost what it had taken"):
                await held
            assert await batcher.submit(new("evt_2")) == "enqueued"

    with (
        Valkey(tmp_path, fsync="everysec") as server,
        open_redis(server.url) as admin,
    ):
        run(lambda: test(server, admin))


@pytest.mark.parametrize(("durability", "fsync"), [("disk", "always"), ("memory", "everysec")])
def test_where_there_is_nothing_to_wait_for_nothing_is_waited_for(
    syncing: Valkey, admin: Redis, durability: str, fsync: str
) -> None:
    admin.config_set("appendfsync", fsync)

    async def test() -> None:
        async with enqueuing(syncing.url, durability) as batcher:
            await batcher.submit(new("evt_first"))  # finds out
            admin.config_resetstat()
            for n in range(20):
                assert await batcher.submit(new(f"evt_{n}")) == "enqueued"

    run(test)
    assert count(admin, "waitaof", "wait", "exists") == 0
    assert count(admin, "evalsha") == 20


def test_a_server_without_an_append_only_file_is_told_of_and_answers(
    syncing: Valkey, admin: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.config_set("appendonly", "no")

    async def test() -> None:
        async with enqueuing(syncing.url) as batcher:
            for n in range(3):
                assert await batcher.submit(new(f"evt_{n}")) == "enqueued"

    run(test)
    assert capsys.readouterr().out.count("no append-only file") == 1


def test_a_new_connection_may_be_to_another_server_and_is_asked_anew(
    syncing: Valkey, admin: Redis
) -> None:
    admin.config_set("appendfsync", "always")

    async def test() -> None:
        async with enqueuing(syncing.url) as batcher:
            await batcher.submit(new("evt_1"))
            admin.config_set("appendfsync", "everysec")
            admin.client_kill_filter(_type="normal", skipme=True)
            admin.config_resetstat()
            assert await batcher.submit(new("evt_2")) == "enqueued"

    run(test)
    assert count(admin, "waitaof") >= 2  # the question, and the wait


def test_without_a_replica_nothing_is_answered_as_being_at_one(
    syncing: Valkey, admin: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "WAIT_TIMEOUT", 0.1)
    admin.config_set("appendfsync", "always")

    async def test() -> None:
        async with enqueuing(syncing.url, "replica") as batcher:
            with pytest.raises(QueueUnavailable, match="at no replica of Redis"):
                await batcher.submit(new("evt_1"))

    run(test)
