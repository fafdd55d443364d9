"""Errors in the shape of Stripe's API: https://docs.stripe.com/api/errors."""

from typing import Any


class StripeError(Exception):
    """What a caller of Stripe's API did wrong, or a fault that was added to the sandbox.

    `executed` says that the request had begun to execute when it failed: only then does
    Stripe keep the answer for its idempotency key.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.executed = executed
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON body: `{"error": {type, message[, code][, param]}}`."""
        error = {"type": self.type, "message": self.message}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://docs.stripe.com/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}


def unknown_parameter(param: str) -> StripeError:
    """A parameter that the call does not have."""
    return StripeError(
        400, f"Received unknown parameter: {param}", code="parameter_unknown", param=param
    )


def missing_parameter(param: str) -> StripeError:
    """A parameter that the call needs."""
    return StripeError(
        400, f"Missing required param: {param}.", code="parameter_missing", param=param
    )


def invalid_parameter(param: str, message: str, code: str | None = None) -> StripeError:
    """A parameter whose value the call cannot take."""
    return StripeError(400, message, code=code, param=param)


def no_such(kind: str, identifier: str, param: str = "id", status: int = 404) -> StripeError:
    """An id that names nothing in the caller's mode. Stripe writes `kind` in one word."""
    return StripeError(
        status, f"No such {kind}: '{identifier}'", code="resource_missing", param=param
    )


def unexpected_state(message: str) -> StripeError:
    """A call that the object's status does not allow."""
    return StripeError(400, message, executed=True)


def unauthenticated(message: str) -> StripeError:
    """No API key, or one that is not in the form of a key."""
    return StripeError(401, message)


def not_permitted(what: str) -> StripeError:
    """A secret key requested what Stripe gives to restricted keys only."""
    return StripeError(
        403,
        f"The provided key does not have the required permissions to expand {what}: "
        "sensitive verification results need a restricted key (rk_...).",
    )


def rate_limited() -> StripeError:
    """More requests in a second than the sandbox's limit."""
    return StripeError(
        429,
        "Request rate limit exceeded.",
        code="rate_limit",
        headers={"Stripe-Rate-Limited-Reason": "global-rate"},
    )


def unrecognized_url(method: str, path: str) -> StripeError:
    """A path that Stripe's API, or this sandbox, does not have."""
    return StripeError(
        404,
        f"Unrecognized request URL ({method}: {path}). The sandbox knows /v1/identity/"
        "verification_sessions, /v1/identity/verification_reports, /v1/events, "
        "/v1/webhook_endpoints, /v1/account, /v2/core/events/:id and /v2/core/event_destinations.",
    )
