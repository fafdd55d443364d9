"""The callback with traces on: each call is a span, from which the receiver may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.notifications.callback import Callback

if TYPE_CHECKING:
    from app.telemetry.spans import Spans


class TracedCallback(Callback):
    """The same messages, each with the header `traceparent` (https://www.w3.org/TR/trace-context).

    It is not signed: who follows it trusts it no more than a caller's.
    """

    def __init__(self, *options: Any, spans: Spans) -> None:
        """`options` are Callback's, `spans` those of this process."""
        super().__init__(*options)
        self._spans = spans

    def _post(self, body: str, headers: dict[str, str]) -> tuple[int, str | None, bool]:
        with self._spans.calling() as call:
            status, retry_after, public = super()._post(body, {**headers, **call.headers})
            call.answered(status)
        return status, retry_after, public
