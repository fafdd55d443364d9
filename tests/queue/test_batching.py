"""What comes in during one call goes with the next, and everyone is told what became of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from redis import Redis

from app.domain.errors import JobRefused, QueueUnavailable
from app.local.valkey import Valkey
from app.queue import batching
from app.queue.batching import MAX_WAITING, TOO_SLOW, EnqueueBatcher
from app.queue.connection import open_async_redis
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EVENTS, MAX_BATCH, NewJob


def job(id: str) -> NewJob:
    return NewJob(id, [id], f"created {id}")


def jobs(count: int) -> list[NewJob]:
    return [job(f"evt_{number}") for number in range(count)]


class Queue:
    """Takes batches; each call lasts until the test lets it end."""

    def __init__(self, *, held: bool = True) -> None:
        self.calls: list[list[str]] = []
        self.known: set[str] = set()
        self.refused: dict[str, Exception] = {}
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()

    async def enqueue_all(self, jobs: Sequence[NewJob]) -> list[str | Exception]:
        assert 1 <= len(jobs) <= MAX_BATCH
        self.calls.append([job.id for job in jobs])
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return [self.take(job.id) for job in jobs]

    def take(self, id: str) -> str | Exception:
        if id in self.refused:
            return self.refused[id]
        outcome = "duplicate" if id in self.known else "enqueued"
        self.known.add(id)
        return outcome


async def turns() -> None:
    """Let everything run as far as it comes."""
    for _ in range(10):
        await asyncio.sleep(0)


async def enqueue(batcher: EnqueueBatcher, job: NewJob) -> str:
    """One sender, who waits for the outcome."""
    return await batcher.submit(job)


def sent(batcher: EnqueueBatcher, jobs: Sequence[NewJob]) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(enqueue(batcher, job)) for job in jobs]


async def outcomes(tasks: Sequence[asyncio.Task[str]]) -> list[str]:
    """Each outcome, or the name of the error."""
    told = await asyncio.gather(*tasks, return_exceptions=True)
    return [one if isinstance(one, str) else type(one).__name__ for one in told]


def run(test: Callable[[], Awaitable[None]]) -> None:
    """In an event loop in which nothing may be left running or unheard."""
    unheard: list[object] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: unheard.append(context))
        await test()
        await turns()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())
    assert unheard == []


def test_one_job_is_sent_at_once() -> None:
    async def test() -> None:
        queue = Queue(held=False)
        batcher = EnqueueBatcher(queue)
        for one in jobs(3):
            assert await batcher.submit(one) == "enqueued"
        assert queue.calls == [["evt_0"], ["evt_1"], ["evt_2"]]

    run(test)


def test_what_comes_during_a_call_goes_with_the_next() -> None:
    async def test() -> None:
        queue = Queue()
        batcher = EnqueueBatcher(queue)
        first = sent(batcher, [job("evt_first")])
        await turns()
        others = sent(batcher, jobs(MAX_BATCH + 3))
        await turns()
        assert queue.calls == [["evt_first"]]
        queue.gate.set()
        assert await outcomes(first + others) == ["enqueued"] * (MAX_BATCH + 4)
        assert [len(call) for call in queue.calls] == [1, MAX_BATCH, 3]
        assert queue.calls[1] == [one.id for one in jobs(MAX_BATCH)]

    run(test)


def test_the_same_id_twice_in_a_batch_is_enqueued_and_a_duplicate() -> None:
    async def test() -> None:
        queue = Queue(held=False)
        tasks = sent(EnqueueBatcher(queue), [job("evt_1"), job("evt_1"), job("evt_2")])
        assert await outcomes(tasks) == ["enqueued", "duplicate", "enqueued"]
        assert queue.calls == [["evt_1", "evt_1", "evt_2"]]

    run(test)


def test_a_sender_who_goes_disturbs_no_other() -> None:
    async def test() -> None:
        queue = Queue()
        batcher = EnqueueBatcher(queue)
        under_way = sent(batcher, [job("evt_a"), job("evt_b")])
        await turns()
        waiting = sent(batcher, [job("evt_c"), job("evt_d")])
        await turns()
        under_way[0].cancel()
        waiting[0].cancel()
        await turns()
        queue.gate.set()
        told = await outcomes(under_way + waiting)
        assert told == ["CancelledError", "enqueued", "CancelledError", "enqueued"]
        assert queue.calls == [["evt_a", "evt_b"], ["evt_d"]]

    run(test)


def test_when_all_go_there_is_no_call() -> None:
    async def test() -> None:
        queue = Queue()
        batcher = EnqueueBatcher(queue)
        first = sent(batcher, [job("evt_a")])
        await turns()
        others = sent(batcher, jobs(5))
        await turns()
        for task in others:
            task.cancel()
        queue.gate.set()
        assert await outcomes(first) == ["enqueued"]
        await batcher.close()
        assert queue.calls == [["evt_a"]]

    run(test)


@pytest.mark.parametrize("failure", [QueueUnavailable("down"), ValueError("a fault of ours")])
def test_a_failed_call_is_told_to_all_its_members_and_to_no_other(failure: Exception) -> None:
    async def test() -> None:
        queue = Queue()
        batcher = EnqueueBatcher(queue)
        queue.failure = failure
        members = sent(batcher, jobs(5))
        await turns()
        others = sent(batcher, [job("evt_other")])
        await turns()
        queue.gate.set()
        while len(queue.calls) < 2:
            await asyncio.sleep(0)
            queue.failure = None if len(queue.calls) == 2 else failure
        queue.failure = None
        assert await outcomes(members) == [type(failure).__name__] * 5
        assert set(await outcomes(others)) <= {"enqueued", type(failure).__name__}
        assert await batcher.submit(job("evt_after")) == "enqueued"

    run(test)


def test_a_refused_member_is_told_alone() -> None:
    async def test() -> None:
        queue = Queue(held=False)
        queue.refused["evt_1"] = JobRefused("WRONGTYPE")
        assert await outcomes(sent(EnqueueBatcher(queue), jobs(3))) == [
            "enqueued",
            "JobRefused",
            "enqueued",
        ]

    run(test)


def test_fewer_outcomes_than_jobs_are_a_fault_that_all_are_told() -> None:
    class Forgetful(Queue):
        async def enqueue_all(self, jobs: Sequence[NewJob]) -> list[str | Exception]:
            return (await super().enqueue_all(jobs))[:-1]

    async def test() -> None:
        told = await outcomes(sent(EnqueueBatcher(Forgetful(held=False)), jobs(3)))
        assert told == ["ValueError"] * 3

    run(test)


def test_a_job_waits_for_its_turn_no_longer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "TURN_TIMEOUT", 0.05)

    async def test() -> None:
        queue = Queue()
        batcher = EnqueueBatcher(queue)
        first = sent(batcher, [job("evt_first")])
        await turns()
        for round in range(2):  # the timer is set again for those who come later
            late = sent(batcher, jobs(3))
            await asyncio.sleep(0.03)
            later = sent(batcher, [job(f"evt_later_{round}")])
            told = await asyncio.gather(*late, *later, return_exceptions=True)
            assert [str(one) for one in told] == [TOO_SLOW] * 4
        queue.gate.set()
        assert await outcomes(first) == ["enqueued"]  # its call was under way
        await batcher.close()
        assert queue.calls == [["evt_first"]]

    run(test)


def test_more_than_can_wait_are_refused_at_once() -> None:
    async def test() -> None:
        queue = Queue()
        batcher = EnqueueBatcher(queue)
        first = sent(batcher, [job("evt_first")])
        await turns()
        waiting = sent(batcher, jobs(MAX_WAITING))
        await turns()
        with pytest.raises(QueueUnavailable, match=TOO_SLOW):
            await batcher.submit(job("evt_too_many"))
        queue.gate.set()
        assert await outcomes(first + waiting) == ["enqueued"] * (MAX_WAITING + 1)

    run(test)


def test_closing_waits_for_what_is_under_way() -> None:
    async def test() -> None:
        queue = Queue()
        batcher = EnqueueBatcher(queue)
        await batcher.close()
        tasks = sent(batcher, jobs(3))
        await turns()
        closing = asyncio.create_task(batcher.close())
        await turns()
        assert not closing.done()
        queue.gate.set()
        await closing
        assert await outcomes(tasks) == ["enqueued"] * 3

    run(test)


def test_each_call_is_reported_once_with_what_was_taken() -> None:
    reported: list[list[tuple[str, str]]] = []

    async def test() -> None:
        queue = Queue(held=False)
        queue.refused["evt_1"] = JobRefused("WRONGTYPE")
        batcher = EnqueueBatcher(
            queue, report=lambda taken: reported.append([(job.id, told) for job, told in taken])
        )
        await outcomes(sent(batcher, [*jobs(3), job("evt_0")]))
        await outcomes(sent(batcher, [job("evt_1")]))

    run(test)
    assert reported == [[("evt_0", "enqueued"), ("evt_2", "enqueued"), ("evt_0", "duplicate")]]


def test_a_report_that_fails_is_told_to_its_members() -> None:
    def report(taken: object) -> None:
        raise BrokenPipeError

    async def test() -> None:
        batcher = EnqueueBatcher(Queue(held=False), report=report)
        assert await outcomes(sent(batcher, jobs(2))) == ["BrokenPipeError"] * 2

    run(test)


def test_the_end_of_the_event_loop_leaves_nobody_waiting() -> None:
    async def test() -> list[asyncio.Task[str]]:
        batcher = EnqueueBatcher(Queue())
        tasks = sent(batcher, jobs(2))
        await turns()
        tasks += sent(batcher, [job("evt_waiting")])
        await turns()
        return tasks

    assert all(task.cancelled() for task in asyncio.run(test()))


# --- over a real server ---------------------------------------------------------------------


def over_redis(url: str, jobs: Sequence[NewJob]) -> list[str]:
    """What each is told, all sent at once."""

    async def send() -> list[str]:
        redis = open_async_redis(url)
        try:
            batcher = EnqueueBatcher(AsyncJobQueue(redis, EVENTS))
            return await outcomes(sent(batcher, jobs))
        finally:
            await redis.aclose()

    return asyncio.run(send())


def test_many_jobs_get_into_redis_in_few_calls(redis: Redis, valkey: Valkey) -> None:
    redis.config_resetstat()
    assert over_redis(valkey.url, jobs(250)) == ["enqueued"] * 250
    assert redis.lrange("rq:queue:identity-events", 0, -1) == [one.id.encode() for one in jobs(250)]
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] <= 4


def test_the_same_id_twice_is_one_job(redis: Redis, valkey: Valkey) -> None:
    told = over_redis(valkey.url, [job("evt_1"), job("evt_1"), job("evt_2"), job("evt_1")])
    assert told == ["enqueued", "duplicate", "enqueued", "duplicate"]
    assert redis.llen("rq:queue:identity-events") == 2


def test_a_job_that_redis_refuses_keeps_no_other_out(redis: Redis, valkey: Valkey) -> None:
    redis.set("rq:job:evt_1", "not a hash")
    assert over_redis(valkey.url, jobs(3)) == ["enqueued", "JobRefused", "enqueued"]
    assert redis.lrange("rq:queue:identity-events", 0, -1) == [b"evt_0", b"evt_2"]


def test_a_full_redis_refuses_all(redis: Redis, valkey: Valkey) -> None:
    redis.config_set("maxmemory", 1)
    try:
        assert over_redis(valkey.url, jobs(3)) == ["QueueUnavailable"] * 3
    finally:
        redis.config_set("maxmemory", 0)
    assert redis.llen("rq:queue:identity-events") == 0
