"""The texts of the transitions' scripts."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
_PRELUDE = (_FOLDER / "prelude.lua").read_text()


def _script(name: str) -> str:
    """A script's text with the prelude after its first line, which Redis reads as its flags."""
    flags, _, rest = (_FOLDER / f"{name}.lua").read_text().partition("\n")
    return f"{flags}\n{_PRELUDE}\n{rest}"


SCRIPTS = {
    name: _script(name)
    for name in (
        "enqueue",
        "claim",
        "complete",
        "retry_later",
        "bury",
        "release",
        "leave",
        "rescue",
        "promote",
        "replay",
        "discard",
        "rewrite",
    )
}
