"""`python -m tests.docs.write`: writes the pages that are generated (`make docs-reference`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.docs import cli_page, http_page, settings_page

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page.page,
    "cli.md": cli_page.page,
    "http.md": http_page.page,
}


def main() -> None:
    """Write each page."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
