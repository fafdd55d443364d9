"""docs/reference/settings.md, from what `app/configuration/environment.py` describes."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from app.configuration.settings import VARIABLES
from app.configuration.variables import Variable
from tests.docs.markdown import notice, table

TOP = f"""# Settings

{notice("app/configuration/environment.py")}

Every setting is an environment variable. A process reads them once, when it starts. If some are
missing or wrong, it prints one line for each of them, all at once and without quoting any value,
and exits with code 2.

Give `web`, `worker` and `release` the same settings: which of them a setting matters to can change
from one release to the next. An empty variable counts as one that is not set.
"""


def page() -> str:
    """The whole page."""
    parts = [TOP]
    for group, variables in groupby(VARIABLES.values(), key=lambda each: each.group):
        rows = [
            (f"`{each.name}`", meaning(each), each.form.words, default(each)) for each in variables
        ]
        parts += [f"## {group}\n", table(("variable", "meaning", "takes", "default"), rows)]
    return "\n".join(parts)


def meaning(variable: Variable) -> str:
    """What it is for, and who does not start without it."""
    if not variable.needed_by:
        return variable.meaning
    *others, last = (f"`{each}`" for each in variable.needed_by)
    processes = f"{', '.join(others)} and {last}" if others else last
    verb = "do" if len(variable.needed_by) > 1 else "does"
    return f"{variable.meaning} **{processes} {verb} not start without it.**"


def default(variable: Variable) -> str:
    """The value as one would write it, or what it means that there is none."""
    if variable.if_unset:
        return variable.if_unset
    if variable.default in (None, ()):
        return "none"
    return f"`{written(variable.default)}`"


def written(value: Any) -> str:
    """A value as it stands in the environment."""
    return str(int(value)) if isinstance(value, bool) else str(value)
