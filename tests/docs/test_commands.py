"""Every command, variable and file that the docs name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli.main import identity
from tests.docs.commands import (
    OTHERS_VARIABLES,
    SETTINGS,
    click_problem,
    commands,
    problem_of,
)
from tests.docs.pages import PAGES, ROOT, blocks, inline_code, name_of

# Where variables are set otherwise than by a command.
FILES = ("text", "", "ini", "env", "dotenv", "yaml", "toml")
SHELL = ("sh", "bash", "console", "shell")
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
SET = re.compile(r"^\s*(?:- )?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)[=:]", re.MULTILINE)
FILE = re.compile(r"(?:app|workers|tests|deploy|docs|\.ci)/[\w./-]+\w")
# What is written in capitals and is no variable of a process.
NO_VARIABLES = {"VIEW"}
# What begins as a command does, and is an event of the log.
NO_COMMANDS = {"effects wait in the ledger"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_can_be_typed_as_it_stands(page: Path) -> None:
    scripts = [block.text for block in blocks(page, *SHELL)]
    whole = "\n".join(scripts)  # a page's blocks are typed one after another
    found = {
        " ".join(command.words): problem
        for script in scripts
        for command in commands(script)
        if (problem := problem_of(command, whole))
    }
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_sentence_is_one(page: Path) -> None:
    found = {}
    for code in sorted(set(inline_code(page)) - NO_COMMANDS):
        words = code.split()
        if words[:3] == ["python", "-m", "app"]:
            words = words[3:]
        elif words[0] == "identity":
            words = words[1:]
        elif words[0] not in identity.commands or len(words) == 1:
            continue
        # `dlq list|show` names several at once.
        if not any("|" in word for word in words) and (
            problem := click_problem(words, whole=False)
        ):
            found[code] = problem
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = {name for code in inline_code(page) for name in VARIABLE.findall(code)}
    for block in blocks(page, *FILES):
        named |= set(SET.findall(block.text))
    assert sorted(named - SETTINGS - OTHERS_VARIABLES - NO_VARIABLES) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = {path for code in inline_code(page) for path in FILE.findall(code)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("python -m app dql list", "no command dql"),
        ("identity dlq list --nosuch", "No such option"),
        ("python -m app dlq discard evt_1", "Missing option"),
        ("python -m app backfill --since yesterday", "--since"),
        ("python -m app.nosuch", "no module"),
        ("NO_SUCH=1 python -m app doctor", "no setting"),
        ("make nosuch", "Makefile"),
        ("curl https://YOUR-HOST/v1/nosuch", "not served"),
        ("A=$(curl -X POST $API/v1/references/u)", "not served"),
        ("nosuch --help", "no program"),
        ('eval "$(python -m app dql)"', "no command dql"),
        ("heroku run -- identity dql list", "no command dql"),
        ("heroku run identity dlq list", "told by --"),
    ],
)
def test_what_cannot_be_typed_is_found(script: str, problem: str) -> None:
    found = [each for command in commands(script) if (each := problem_of(command, script + "$A"))]
    assert len(found) == 1
    assert problem in found[0]
