"""The message to a receiver: the same in the callback, the function and the stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from app.domain.standing import Standing


@dataclass(frozen=True, slots=True)
class ReferenceChanged:
    """A reference's standing is new to the receiver. `standing.version` orders messages."""

    client_reference_id: str
    account: str
    livemode: bool
    standing: Standing
    previous_status: str | None  # in this receiver's last message; None in its first
    id: str  # the same for every try to send this version
    purpose: str = ""  # "" is the default one

    def body(self, now: float) -> str:
        """The message as JSON; `now` is in Unix seconds."""
        message = {
            "type": f"reference.{self.standing.status}",
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
            "data": {
                "client_reference_id": self.client_reference_id,
                "account": self.account,
                "livemode": self.livemode,
                "purpose": self.purpose,
                "standing": self.standing.as_json(),
                "previous_status": self.previous_status,
            },
        }
        return json.dumps(message, separators=(",", ":"))


def sample(livemode: bool) -> ReferenceChanged:
    """A made-up message to try receivers with: of version 0, which no reference ever has."""
    standing = Standing("verified", "vs_test", 0, 0, 0, None, "none", None, "document")
    return ReferenceChanged("notify-test", "", livemode, standing, "processing", "msg_notify_test")
