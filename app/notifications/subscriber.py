"""`SUBSCRIBER=package.module:function`: the team's own Python, called in the effects worker."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from rq.timeouts import JobTimeoutException

from app.domain.errors import Misconfigured, Permanent, Transient
from app.notifications.message import ReferenceChanged

Subscriber = Callable[[ReferenceChanged], Any]


class SubscriberFailed(Transient):
    """The subscriber raised: tried again later. `Permanent` says that later is of no use."""


def load(path: str) -> Subscriber:
    """The function that `path` names. Raises Misconfigured, so that it is found at start."""
    module_name, colon, name = path.partition(":")
    if not colon or not module_name or not name.isidentifier():
        raise Misconfigured(["SUBSCRIBER has to be package.module:function"])
    try:
        function = getattr(importlib.import_module(module_name), name)
    except Exception as error:  # whatever a module raises while it is imported
        raise Misconfigured(
            [f"SUBSCRIBER {path} cannot be imported ({type(error).__name__})"]
        ) from error
    if not callable(function):
        raise Misconfigured([f"SUBSCRIBER {path} is not a function"])
    found: Subscriber = function
    return found


def call(subscriber: Subscriber, message: ReferenceChanged) -> None:
    """Call it once. Its own errors say whether to try again; any other is tried again."""
    try:
        subscriber(message)
    except (Transient, Permanent, JobTimeoutException):
        raise
    except Exception as error:
        raise SubscriberFailed(f"the subscriber raised {type(error).__name__}") from error
