"""`deploy/Dockerfile` as its instructions, and `.dockerignore` as what of the clone it is sent."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.support.cli import ROOT

DOCKERFILE = ROOT / "deploy/Dockerfile"
VARIABLE = re.compile(r"\$\{?(\w+)\}?")


class Instruction(NamedTuple):
    """One instruction: its name, and all that follows it, in one line."""

    name: str
    text: str


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)


def read_stages(text: str, arguments: Mapping[str, str] | None = None) -> dict[str, Stage]:
    """The stages of a Dockerfile by name, in its order.

    `arguments` go over the defaults of the ARGs that stand before the first FROM.
    """
    known: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            base, _, name = instruction.text.partition(" AS ")
            stages[name] = Stage(expand(base, known), name)
        elif stages:
            stages[name].instructions.append(instruction)
        else:
            assert instruction.name == "ARG", instruction
            key, _, default = instruction.text.partition("=")
            known[key] = {key: default, **(arguments or {})}[key]
    return stages


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        yield Instruction(name, rest.strip())


def line_of(stage: Stage, name: str) -> str:
    """The text of the one instruction of this name."""
    (found,) = (each.text for each in stage.instructions if each.name == name)
    return found


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with the variables' values."""
    return VARIABLE.sub(lambda found: variables[found[1]], text)


def exec_form(text: str) -> list[str]:
    """The words of an instruction in exec form. The shell form fails: it takes the signals."""
    words = json.loads(text)
    assert isinstance(words, list)
    return [str(word) for word in words]


def committed_files() -> list[str]:
    """What git has of the clone, and what is new there and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def sent_files(names: list[str], rules: str) -> list[str]:
    """Those that these rules of `.dockerignore` let through: the last one that matches decides."""
    lines = [line for line in rules.splitlines() if line and not line.startswith("#")]
    return [name for name in names if _is_sent(name, lines)]


def _is_sent(name: str, rules: list[str]) -> bool:
    sent = True
    for rule in rules:
        if _matches(name, rule.removeprefix("!")):
            sent = rule.startswith("!")
    return sent


def _matches(name: str, pattern: str) -> bool:
    """A pattern means a file, or a folder with all that is in it."""
    parts = Path(name).parts
    paths = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatchcase(part, pattern.removeprefix("**/")) for part in parts)
    return any(
        path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)
        for path in paths
    )
