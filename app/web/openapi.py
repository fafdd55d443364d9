"""`GET /openapi.json`: what this process serves, written by hand and held to it by Schemathesis."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

DESCRIPTION = (Path(__file__).parent / "openapi.json").read_bytes()


async def openapi(request: Request) -> Response:
    """The description, to everybody: it says nothing of this deployment."""
    return Response(DESCRIPTION, media_type="application/json")
