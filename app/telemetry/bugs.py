"""Reports bugs of ours to Sentry, where SENTRY_DSN names a project: where, and nothing of whom.

What Sentry's package would gather is turned off, and of what is left an event is made anew from the
few fields that are known to hold nothing else: another release of the package adds none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Secret

from app.domain.errors import IdentityError

if TYPE_CHECKING:
    from sentry_sdk import Client
    from sentry_sdk.transport import Transport

# Seconds for what is not sent yet when a process stops, as for traces.
FLUSH_TIMEOUT = 2.0
# What is kept: of the event, of each exception in it, and of each line of its traceback.
EVENT_FIELDS = ("event_id", "timestamp", "platform", "level", "environment", "release", "sdk")
EXCEPTION_FIELDS = ("type", "module")
FRAME_FIELDS = ("filename", "function", "module", "lineno", "in_app")

# The client of this process, and the part that it plays; None where bugs are not reported.
_client: Client | None = None
_part = ""


def start(dsn: Secret | None, part: str, transport: Transport | None = None) -> None:
    """Report the bugs of this process, which plays this part; after a fork. None: report nothing.

    `transport` is for tests.
    """
    global _client, _part  # noqa: PLW0603  # one to a process, as its log is
    if dsn is None:
        return
    # Nothing of Sentry's is imported where it is off.
    import sentry_sdk

    _part = part
    # `send_default_pii` is off by default, and deprecated.
    _client = sentry_sdk.Client(
        dsn=str(dsn),
        transport=transport,
        before_send=_scrub,
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        send_client_reports=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        max_request_body_size="never",
        spotlight=False,
        server_name="",
        shutdown_timeout=FLUSH_TIMEOUT,
    )


def report(error: BaseException, **ids: str) -> None:
    """Report an error, if it is a bug: none of those that this product knows how to answer.

    `ids` name a job or a call, and nobody.
    """
    if _client is None or isinstance(error, IdentityError):
        return
    from sentry_sdk.utils import event_from_exception

    event, hint = event_from_exception(error, client_options=_client.options)
    event["tags"] = {"part": _part, **ids}
    _client.capture_event(event, hint)


def stop() -> None:
    """Send what is not sent yet, within FLUSH_TIMEOUT."""
    global _client  # noqa: PLW0603  # as above
    if _client is not None:
        _client.close(timeout=FLUSH_TIMEOUT)
        _client = None


def _scrub(event: Any, hint: Any) -> Any:
    """The event with what is known to be harmless, and nothing else."""
    values = (event.get("exception") or {}).get("values") or []
    return {
        **_only(event, EVENT_FIELDS),
        "tags": event.get("tags") or {},
        "exception": {"values": [_scrub_exception(value) for value in values]},
    }


def _scrub_exception(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without its text, which may quote a row or an argument."""
    frames = (value.get("stacktrace") or {}).get("frames") or []
    return {
        **_only(value, EXCEPTION_FIELDS),
        "stacktrace": {"frames": [_only(frame, FRAME_FIELDS) for frame in frames]},
    }


def _only(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}
