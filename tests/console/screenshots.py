"""`python -m tests.console.screenshots FOLDER [PART OF A NAME]`: each page, theme and width.

`python -m tests.console.screenshots docs --readme` makes the two that README.md shows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from app.local.valkey import Valkey
from tests.console import stock
from tests.console.browser import LOOKS, Look, Visitor, set_look, started
from tests.console.pages import ADDRESSES, name_of
from tests.console.site import OPERATOR, REDACTOR, Site, opened
from tests.support.stores import migrated_file

TALLEST = 6_000  # pixels: a picture that is taller shows nothing more
README = {"console-overview": "/console/", "console-reference": "/console/references/lena"}
README_LOOK = Look("light", 1280)


def take(site: Site, visitor: Visitor, folder: Path, part: str) -> None:
    """A picture of each page whose name has the part in it."""
    shown: dict[str, tuple[str | None, str]] = {"sign-in": (None, "/console/sign-in")}
    shown |= {name_of(address): (REDACTOR, address) for address in ADDRESSES}
    for name, (who, address) in shown.items():
        if part not in name:
            continue
        with visitor.page(who) as page:
            page.goto(address.format(**site.ids))
            for look in LOOKS:
                set_look(page, look)
                height = int(page.evaluate("document.documentElement.scrollHeight"))
                clip = {"x": 0, "y": 0, "width": look.width, "height": min(height, TALLEST)}
                path = folder / f"{name}-{look.name}.png"
                page.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]


def take_for_readme(site: Site, visitor: Visitor, folder: Path) -> None:
    """What somebody sees at first of the first screen, and of a user."""
    with site.workers():
        site.await_quiet()
        for name, address in README.items():
            with visitor.page(OPERATOR, README_LOOK) as page:
                page.goto(address)
                page.screenshot(path=folder / f"{name}.png")


def main(folder: Path, part: str = "") -> None:
    """Take all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="console-") as name,
        Valkey(Path(name) / "valkey", fsync="no") as valkey,
        started() as browser,
    ):
        database = f"sqlite:///{migrated_file(Path(name))}"
        with opened(Path(name), valkey.url, database) as site:
            stock.fill(site)
            visitor = Visitor(browser, site)
            if part == "--readme":
                take_for_readme(site, visitor, folder)
            else:
                take(site, visitor, folder, part)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
