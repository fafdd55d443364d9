"""A replay of all in a process of its own: `python -m tests.operations.replaying REDIS DATABASE`.

Its workers do nothing and take no time, so what is measured is the command alone. It ends with one
JSON object.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import time

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.operations.dlq.replay import Replay, ReplayProgress
from app.queue.connection import open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue


def complete(url: str) -> None:
    """Be as many workers as could be wished for."""
    jobs = JobQueue(open_redis(url), EVENTS)
    while True:
        claimed = jobs.claim("fast", 600, 500)
        jobs.complete("fast", [job.id for job in claimed])
        if not claimed:
            time.sleep(0.005)


def kilobytes() -> int:
    """The most memory this process has ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(url: str, database: str) -> None:
    """Replay all, and print how long it took and how memory grew with the letters replayed."""
    workers = multiprocessing.get_context("spawn").Process(
        target=complete, args=(url,), daemon=True
    )
    workers.start()
    held: dict[int, int] = {}

    def report(so_far: ReplayProgress) -> None:
        held.setdefault(so_far.replayed // 10_000, kilobytes())

    redis = open_redis(url)
    run = Replay(JobQueue(redis, EVENTS), Ledger(open_engine(database)), report=report)
    began = time.monotonic()
    run.run(DeadLetters(redis, EVENTS).ids())
    seconds = time.monotonic() - began
    workers.terminate()
    told = {"seconds": seconds, "kilobytes": held, "unchanged": run.so_far.unchanged}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
