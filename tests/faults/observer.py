"""What the product under test keeps in its stores, seen from beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from redis import Redis

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.queue.backlog import read_backlog
from app.queue.connection import open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS, EVENTS, QueueSpec
from app.queue.transitions import JobQueue


class Observer:
    """A client of each store, and how often which part was killed."""

    def __init__(self, redis_url: str, database_url: str) -> None:
        """Connects at the first look."""
        self.kills: Counter[str] = Counter()
        self.redis: Redis = open_redis(redis_url)
        self.engine = open_engine(database_url)
        self.ledger = Ledger(self.engine)
        self.events = JobQueue(self.redis, EVENTS)
        self.effects = JobQueue(self.redis, EFFECTS)
        self.letters = DeadLetters(self.redis, EVENTS)
        self.effect_letters = DeadLetters(self.redis, EFFECTS)

    def counts(self, spec: QueueSpec) -> Mapping[str, int]:
        """How many jobs of a queue are queued, started, scheduled and failed."""
        return read_backlog(self.redis, spec).counts

    def close(self) -> None:
        """Close its connections."""
        self.redis.close()
        self.engine.dispose()
