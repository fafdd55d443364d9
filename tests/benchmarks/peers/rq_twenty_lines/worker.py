"""A stock RQ worker. It imports the job's module before it forks, as RQ's documentation advises."""

from __future__ import annotations

import os

from redis import Redis
from rq import Worker

from tests.benchmarks.peers.rq_twenty_lines import jobs

assert jobs
if __name__ == "__main__":
    worker = Worker(["default"], connection=Redis.from_url(os.environ["REDIS_URL"]))
    worker.work(logging_level="WARNING")
