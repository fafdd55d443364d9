"""CHANGELOG.md at a release. `python -m tests.releases.changelog X.Y.Z` prints that version's part.

Standard library only: the workflow that publishes has nothing else.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

UNRELEASED = "Unreleased"
FILE = Path(__file__).parents[2] / "CHANGELOG.md"
HEADING = re.compile(r"^## (.+)\n", re.MULTILINE)


def section(changelog: str, name: str) -> str:
    """What stands under the heading that is `name`, or `name` and a date. Raises KeyError."""
    _, *parts = HEADING.split(changelog)
    headings = [heading.partition(",")[0] for heading in parts[::2]]
    texts: dict[str, str] = dict(zip(headings, parts[1::2], strict=True))
    return texts[name].strip()


def released(changelog: str, version: str, day: date) -> str:
    """With what was unreleased under the version and its day."""
    return changelog.replace(f"## {UNRELEASED}\n", f"## {version}, {day.isoformat()}\n", 1)


def begun(changelog: str) -> str:
    """With an empty part for what comes after the newest release."""
    return changelog.replace("\n## ", f"\n## {UNRELEASED}\n\n## ", 1)


def main() -> None:
    """Print the notes of a version."""
    try:
        notes = section(FILE.read_text("utf-8"), sys.argv[1])
    except KeyError:
        sys.exit(f"CHANGELOG.md has no part for {sys.argv[1]}")
    sys.stdout.write(f"{notes}\n")


if __name__ == "__main__":
    main()
