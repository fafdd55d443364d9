"""`GET /openapi.json`: the OpenAPI description of this process, kept in `openapi.yaml`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from starlette.requests import Request
from starlette.responses import Response

from app.version import version


def load_description(path: Path) -> bytes:
    """Read the YAML file at `path` and return the same document as JSON, with our version.

    Raises yaml.YAMLError if the file is not YAML, TypeError if it holds what JSON cannot, such as
    a date without quotes.
    """
    # Where PyYAML was built with libyaml: its own parser takes a twentieth of a second, each start.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    document["info"]["version"] = version()  # it stands in pyproject.toml, and nowhere else
    return json.dumps(document, indent=2).encode()


DESCRIPTION = load_description(Path(__file__).with_name("openapi.yaml"))


async def openapi(request: Request) -> Response:
    """Return the description as JSON, without asking for a token: it is the same everywhere."""
    return Response(DESCRIPTION, media_type="application/json")
