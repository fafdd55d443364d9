"""One JSON file that keeps the sandbox's state across restarts."""

import asyncio
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.sandbox.endpoints import Endpoint
from deploy.sandbox.events import Event
from deploy.sandbox.reports import Report
from deploy.sandbox.session import Session
from deploy.sandbox.state import State

_VERSION = 2
# Seconds between two writes; a large state is written less often, so that writing takes a
# twentieth of the time at most.
_WRITE_INTERVAL = 1.0
_SHARE = 20


class UnreadableState(Exception):
    """The state file was not written by this version of the sandbox."""


def dump(state: State, endpoints: Iterable[Endpoint]) -> str:
    """Everything that is kept across a restart, as JSON."""
    return json.dumps(
        {
            "version": _VERSION,
            "clock_offset": state.clock.offset,
            "redaction_seconds": state.redaction_seconds,
            "canceled_redaction": state.canceled_redaction,
            "sessions": [vars(session) for session in state.sessions.values()],
            "reports": [vars(report) for report in state.reports.values()],
            "flows": state.flows,
            "events": [vars(event) for event in state.events.values()],
            "links": state.links,
            "platforms": state.accounts.platforms,
            "endpoints": [asdict(endpoint) for endpoint in endpoints],
        },
        separators=(",", ":"),
    )


def load(text: str, state: State, endpoints: dict[str, Endpoint]) -> None:
    """Fill an empty state. Raises UnreadableState."""
    try:
        kept: dict[str, Any] = json.loads(text)
        if kept["version"] != _VERSION:
            raise UnreadableState(f"it is of version {kept['version']}")
        state.clock.offset = float(kept["clock_offset"])
        state.redaction_seconds = float(kept["redaction_seconds"])
        state.canceled_redaction = kept["canceled_redaction"]
        state.sessions.update((each["id"], Session(**each)) for each in kept["sessions"])
        state.reports.update((each["id"], Report(**each)) for each in kept["reports"])
        state.flows.update(kept["flows"])
        state.events.update((each["id"], Event(**each)) for each in kept["events"])
        state.links.update(kept["links"])
        state.accounts.platforms.update(kept["platforms"])
        endpoints.update((each["id"], Endpoint(**each)) for each in kept["endpoints"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableState("it is not a state of this sandbox") from error
    state.restore_timers()


def write(path: Path, text: str) -> None:
    """Replace the file as a whole: a reader sees the old or the new.

    It holds secrets, so only its owner may read it.
    """
    draft = path.with_name(f"{path.name}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


class StateFile:
    """Writes the state after a change, at most once a second."""

    def __init__(self, path: Path, state: State, endpoints: dict[str, Endpoint]) -> None:
        self._path = path
        self._state = state
        self._endpoints = endpoints
        self._changed = asyncio.Event()

    def touch(self) -> None:
        """Say that there is something to write."""
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            begun = time.monotonic()
            self.write()
            await asyncio.sleep(max(_WRITE_INTERVAL, _SHARE * (time.monotonic() - begun)))

    def write(self) -> None:
        """Write now."""
        write(self._path, dump(self._state, self._endpoints.values()))
