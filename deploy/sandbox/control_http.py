"""How `/_sandbox` is spoken to: JSON in and out, no key.

Every error is `{"error": {"message": "one line"}}` with 400, 404, 409 or 413.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox import bodies
from deploy.sandbox.errors import StripeError

JSON = dict[str, Any]
# Takes the JSON body and the id in the path. Raises ValueError for a body that it cannot accept,
# StripeError for an unknown id.
Operation = Callable[[JSON, str], JSON]


def controlled(changed: Callable[[], None], method: str, path: str, operation: Operation) -> Route:
    """The operation at a path under /_sandbox; `changed` is called after what may change things."""

    async def answer(request: Request) -> Response:
        response = await _respond(request, operation)
        if request.method != "GET":
            changed()
        return response

    return Route(f"/_sandbox{path}", answer, methods=[method])


async def unknown(request: Request) -> Response:
    """Answer 404 to an unknown path under /_sandbox."""
    return _error(404, f"there is no {request.method} {request.scope['path']}")


async def _respond(request: Request, operation: Operation) -> Response:
    try:
        body = {} if request.method == "GET" else await bodies.read_json(request)
        return JSONResponse(operation(body, request.path_params.get("id", "")))
    except ValueError as error:
        return _error(400, str(error))
    except bodies.TooLarge:
        return _error(413, f"the body is longer than {bodies.MAX_BYTES} bytes")
    except StripeError as error:
        # What exists but is in the wrong state is a conflict here; Stripe itself answers 400.
        named = 400 if error.param else 409
        return _error(404 if error.status == 404 else named, error.message)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)


def only(body: JSON, *fields: str) -> None:
    """Refuse a body with other fields. Raises ValueError."""
    for name in body:
        check(name in fields, f"unknown field {name!r}; there are: {', '.join(fields)}")


def check(condition: bool, message: str) -> None:
    """Refuse a body unless the condition holds. Raises ValueError."""
    if not condition:
        raise ValueError(message)


def as_form(value: Any) -> Any:
    """JSON as `params.decode` gives a form: text, and named parts."""
    if isinstance(value, dict):
        return {key: as_form(part) for key, part in value.items()}
    if isinstance(value, list):
        return {str(index): as_form(part) for index, part in enumerate(value)}
    return str(value).lower() if isinstance(value, bool) else str(value)
