"""The task, and Celery's settings: nothing is lost where a worker is killed."""

from __future__ import annotations

import os

from celery import Celery  # type: ignore[import-untyped]

from tests.benchmarks.peers.celery_peer.store import TRANSIENT, Event, Store, open_store

app = Celery("identity", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    # The usual; 1, 16 and 64 were all slower here.
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
_stores: list[Store] = []


@app.task(autoretry_for=TRANSIENT, retry_backoff=True, max_retries=20)  # type: ignore[untyped-decorator]
def apply(event: Event) -> None:
    """Bring one event into the database."""
    if not _stores:  # one connection for each process of the pool, opened after its fork
        _stores.append(open_store(os.environ["DATABASE_URL"]))
    _stores[0].apply(event)
