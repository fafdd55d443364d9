"""`SUBSCRIBER=package.module:function`: the team's own Python, called in the effects worker."""

from __future__ import annotations

import importlib
import inspect
import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rq.timeouts import JobTimeoutException

from app.domain.errors import Misconfigured, Permanent, Retry, Transient
from app.notifications.callback import MAX_PAUSE
from app.notifications.message import ReferenceChanged
from app.tracebacks import source_of

Subscriber = Callable[[ReferenceChanged], Any]


class SubscriberFailed(Transient):
    """The subscriber raised: tried again later. `Permanent` says that it is of no use."""


def load(path: str) -> Subscriber:
    """The function that `path` names. Raises Misconfigured, so that a mistake is found at start."""
    module_name, colon, name = path.partition(":")
    if not colon or not module_name or not name.isidentifier():
        raise Misconfigured(["SUBSCRIBER has to be package.module:function"])
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a module can raise anything while it is imported
        raise Misconfigured([f"SUBSCRIBER {path} cannot be imported ({_why(error)})"]) from error
    found: Any = getattr(module, name, None)
    problem = _problem(found)
    if problem is not None:
        raise Misconfigured([f"SUBSCRIBER {path} {problem}"])
    subscriber: Subscriber = found
    return subscriber


def call(subscriber: Subscriber, message: ReferenceChanged) -> None:
    """Call it once. Its own errors say whether to try again; any other is tried again."""
    try:
        subscriber(message)
    except Retry as error:
        if not isinstance(error.after, int | float) or not math.isfinite(error.after):
            raise SubscriberFailed("the subscriber's Retry names no seconds") from error
        error.after = min(error.after, MAX_PAUSE)
        raise
    except (Transient, Permanent, JobTimeoutException):
        raise
    except (Exception, SystemExit) as error:
        what = f"the subscriber raised {type(error).__name__}"
        source = source_of(error)
        raise SubscriberFailed(f"{what} in {source}" if source else what) from error


def _problem(found: Any) -> str | None:
    """Why it cannot be called with one message; None if it can."""
    if found is None:
        return "names nothing in that module"
    if not callable(found):
        return "is not a function"
    if inspect.iscoroutinefunction(found):
        return "is an async function: it has to be a plain one"
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        return "has to take one argument, the ReferenceChanged"
    except ValueError:  # it has no signature to look at
        pass
    return None


def _why(error: BaseException) -> str:
    """Where the module failed. An error's own text may quote secrets."""
    if isinstance(error, ModuleNotFoundError):
        return f"no module {error.name}"
    if isinstance(error, SyntaxError):
        file, line = error.filename or "", error.lineno
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        file, line = frame.filename, frame.lineno
    return f"{type(error).__name__} in {Path(file).name}:{line}"
