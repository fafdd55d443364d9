"""The console's one stylesheet, its script and its icon, read once."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.web.console.console import Console

FOLDER = Path(__file__).parent / "static"
TYPES = {
    "style.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def routes(console: Console) -> list[Route]:
    """A route for each file, for everyone: there is no secret in them."""
    return [_route(name, type) for name, type in TYPES.items()]


def _route(name: str, type: str) -> Route:
    content = (FOLDER / name).read_bytes()
    headers = {
        "ETag": f'"{sha256(content).hexdigest()[:16]}"',
        "Cache-Control": "max-age=0, must-revalidate",
    }

    async def serve(request: Request) -> Response:
        known = request.headers.get("if-none-match", "")
        if headers["ETag"] in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=type, headers=headers)

    return Route(f"/console/static/{name}", serve, methods=["GET"])
