"""docs/how-to/sessions.md, typed into a shell as it stands there."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, FENCE, read
from tests.e2e.parts import SECRETS, Product, running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow]
PAGE = DOCS / "how-to/sessions.md"
PAUSE = "sleep 1\n"
# What the reader waits for at each pause: the user, and a part of the standing.
AWAITED: list[tuple[str, dict[str, Any]]] = [
    ("user_1", {"status": "verified"}),
    ("user_2", {"last_error_code": "document_expired"}),
    ("user_2", {"status": "verified"}),
]


class Shell:
    """A shell that stays, as a terminal does."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "-u"],
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def type(self, script: str) -> str:
        """What a script prints."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{script}\necho\necho END\n")
        self._process.stdin.flush()
        printed = []
        while (line := self._lines.get(timeout=60)) != "END\n":
            printed.append(line)
        return "".join(printed).strip()

    def close(self) -> None:
        """End it."""
        with suppress(BrokenPipeError):
            self._process.communicate("exit\n", timeout=30)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with running(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data/authorization").write_text(f"Authorization: Bearer {SECRETS.api_token}\n")
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def script_of_the_page(product: Product) -> str:
    """All that the section tells to type, with our addresses for those of `dev`."""
    section = read(PAGE).partition("## Try it")[2].partition("\n### ")[0]
    script = "".join(match[3] for match in FENCE.finditer(section) if match[2] == "sh")
    for address, ours in (
        ("http://127.0.0.1:8000", product.stack.web),
        ("http://127.0.0.1:12111", product.stack.sandbox),
    ):
        assert address in script
        script = script.replace(address, ours)
    return script


def test_every_command_does_what_the_page_says(product: Product, shell: Shell) -> None:
    first, *others = script_of_the_page(product).split(PAUSE)
    printed = [shell.type(first)]
    for (user, awaited), script in zip(AWAITED, others, strict=True):
        eventually(lambda user=user, awaited=awaited: stands(product, user, awaited), 30)  # type: ignore[misc]  # the names of this round
        printed.append(shell.type(script))
    url, first_user, second_user, verified = printed
    assert url.startswith(product.stack.sandbox)
    assert "'status': 'verified'" in first_user
    for said in ("'attempts': 1", "'document_expired'", "'use_another_document'", "True"):
        assert said in second_user
    assert "'status': 'verified'" in verified
    assert '"redaction"' in verified


def stands(product: Product, user: str, awaited: dict[str, Any]) -> bool:
    record = product.read(user)
    return record is not None and awaited.items() <= record["standing"].items()
