"""SUBSCRIBER=tests.notifications.example_subscriber:on_reference_changed"""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from app.notifications import Permanent, ReferenceChanged, Retry

# Connects at its first use, in each worker for itself.
engine = create_engine(os.environ.get("USERS_DATABASE_URL", "sqlite:///users.db"))

# May run twice, and late: only a newer version changes the row.
UPDATE = text("""
    UPDATE users
    SET identity_status = :status, identity_next_step = :next_step, identity_version = :version
    WHERE id = :id AND identity_version < :version
""")
EXISTS = text("SELECT 1 FROM users WHERE id = :id")


def on_reference_changed(changed: ReferenceChanged) -> None:
    """Write how a user stands into the team's own table."""
    standing = changed.standing
    if standing.version == 0:
        return  # the sample of `notify test`
    new = {
        "id": changed.client_reference_id,
        "status": standing.status,
        "next_step": standing.next_step,
        "version": standing.version,
    }
    try:
        with engine.begin() as connection:
            updated = connection.execute(UPDATE, new).rowcount
            known = updated or connection.execute(EXISTS, {"id": new["id"]}).first()
    except DBAPIError:
        raise Retry(after=60, message="the users' database is away") from None
    if not known:
        raise Permanent("no such user")  # a dead letter, for somebody to look at
