"""RQ's own worker in place of ours, on both queues; it dies once, right after its dequeue.

`python -m tests.faults.stock FLAG`: the process that can make the file FLAG is the one that dies.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from app.queue.connection import open_redis
from app.queue.model import EFFECTS, EVENTS


def main(flag: Path) -> None:
    """Work as RQ does, in one process."""
    dequeue_any = Queue.dequeue_any

    def dequeue(*arguments: Any, **named: Any) -> Any:
        found = dequeue_any(*arguments, **named)
        if found is not None and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    Queue.dequeue_any = dequeue  # type: ignore[method-assign]
    connection = open_redis(os.environ["REDIS_URL"])
    names = [EVENTS.rq_name, EFFECTS.rq_name]
    SimpleWorker(names, connection=connection, serializer=JSONSerializer).work()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
