"""What a receiver is told: the same in the callback, the function and the stream."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from app.domain.standing import Standing


@dataclass(frozen=True, slots=True)
class ReferenceChanged:
    """A reference stands otherwise than the receiver knows. `standing.version` orders them."""

    client_reference_id: str
    account: str
    livemode: bool
    standing: Standing
    previous_status: str | None  # what this receiver was told last; None the first time
    id: str  # the same for every try to tell this version

    def body(self, now: float) -> str:
        """The message as JSON; `now` is in Unix seconds."""
        told = {
            "type": f"reference.{self.standing.status}",
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
            "data": {
                "client_reference_id": self.client_reference_id,
                "account": self.account,
                "livemode": self.livemode,
                "standing": asdict(self.standing),
                "previous_status": self.previous_status,
            },
        }
        return json.dumps(told, separators=(",", ":"))


def sample(livemode: bool) -> ReferenceChanged:
    """A made-up message to try receivers with: of version 0, which no reference ever has."""
    standing = Standing("verified", "vs_test", 0, 0, 0, None, "none", None, version=0)
    return ReferenceChanged("notify-test", "", livemode, standing, "processing", "msg_notify_test")
