"""The commands of the `Procfile`, which every way to deploy runs."""

from __future__ import annotations

import shlex

from tests.support.cli import ROOT

PROCFILE = {
    name: shlex.split(command)
    for name, _, command in (
        line.partition(":") for line in (ROOT / "Procfile").read_text().splitlines()
    )
}
