"""Where an exception comes from, without what its text or its arguments may quote.

Our own errors' texts are built from ids and codes. Of any other exception the class is told, and
the files, lines, functions and lines of source that it came through.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from pathlib import Path

from app.domain.errors import IdentityError

# Characters of a whole traceback: a dead letter of a kilobyte must not become one of ten.
MAX_LENGTH = 2_000
# Frames of one exception, the deepest, exceptions of one chain, and characters of a line of source.
MAX_FRAMES, MAX_CHAIN, MAX_LINE = 10, 4, 120
CUT = "(cut)"

# Our code, which may be installed, and other people's packages.
OURS = tuple(f"{Path(__file__).parents[1]}/{name}/" for name in ("app", "workers"))
INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


def scrubbed(error: BaseException) -> str:
    """The traceback of an exception and of what caused it, the first cause first."""
    parts = [_one(each) for each in reversed(_chain(error))]
    lines = "\n\nwhich led to\n\n".join(parts).splitlines()
    text = "\n".join(lines)
    while len(text) > MAX_LENGTH and len(lines) > 1:
        lines.pop()
        text = "\n".join([*lines, CUT])
    return text[:MAX_LENGTH]


def source_of(error: BaseException) -> str | None:
    """Where an exception was raised, and from which line of the team's or ours; None if unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return None
    deepest, written = frames[-1], [one for one in frames if is_written_here(one.filename)]
    if not written or written[-1] is deepest:
        return place_of(deepest)
    return f"{place_of(deepest)}, called from {place_of(written[-1])}"


def place_of(frame: traceback.FrameSummary) -> str:
    """The function, file and line of a frame."""
    return f"{frame.name} ({short(frame.filename)}:{frame.lineno})"


def is_written_here(path: str) -> bool:
    """Whether the team or we have written the file: that a socket was read says little."""
    return path.startswith(OURS) or not path.startswith(INSTALLED)


def short(path: str) -> str:
    """A file's path from where it is imported; its name alone if that is not known."""
    roots = {str(Path(root).absolute()) for root in sys.path}  # "" is the folder we are in
    inside = [root for root in roots if path.startswith(root + os.sep)]
    return path.removeprefix(max(inside, key=len) + os.sep) if inside else Path(path).name


def _chain(error: BaseException) -> list[BaseException]:
    """The exception, then what caused it, and so on."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found and len(found) < MAX_CHAIN:
        found.append(following)
        context = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or context
    return found


def _one(error: BaseException) -> str:
    name = type(error).__name__
    lines = [f"{name}: {error}" if isinstance(error, IdentityError) else name]
    for frame in traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]:
        lines.append(f"  {short(frame.filename)}:{frame.lineno}, in {frame.name}")
        if frame.line:
            lines.append(f"    {frame.line[:MAX_LINE]}")
    return "\n".join(lines)
