"""The team's own backend: a route that takes callbacks."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import create_engine, text
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

engine = create_engine(os.environ.get("USERS_DATABASE_URL", "sqlite:///users.db"))
# May come twice: only a newer version changes the row.
UPDATE = text("""
    UPDATE users SET identity_status = :status, identity_version = :version
    WHERE id = :id AND identity_version < :version
""")


async def identity_hook(request: Request) -> Response:
    """Answer 2xx only once it is written: anything else is sent again."""
    body = await request.body()
    try:
        # The bytes as they came: JSON that was parsed and written again is signed otherwise.
        message = Webhook(os.environ["NOTIFY_SECRET"]).verify(body, dict(request.headers))
    except WebhookVerificationError:
        return Response(status_code=401)
    await run_in_threadpool(write, message["data"])
    return Response(status_code=204)


def write(changed: dict[str, Any]) -> None:
    """The standing, onto the user."""
    standing = changed["standing"]
    new = {"id": changed["client_reference_id"], "status": standing["status"]}
    with engine.begin() as connection:
        connection.execute(UPDATE, {**new, "version": standing["version"]})


app = Starlette(routes=[Route("/identity-hook", identity_hook, methods=["POST"])])
