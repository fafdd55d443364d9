"""The generated pages are what the code says now."""

from __future__ import annotations

import pytest

from app.configuration.settings import VARIABLES, Settings
from tests.docs.settings_page import written
from tests.docs.write import PAGES, REFERENCE

GIVEN = {name: each for name, each in VARIABLES.items() if each.default not in (None, ())}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text("utf-8") == PAGES[name](), "run `make docs-reference`"


@pytest.mark.parametrize("field", GIVEN)
def test_a_default_that_is_set_changes_nothing(field: str) -> None:
    variable = GIVEN[field]
    settings, problems = Settings.read({variable.name: written(variable.default)})
    assert problems == []
    assert str(getattr(settings, field)) == str(getattr(Settings(), field))


def test_every_setting_says_what_it_means_and_what_holds_without_it() -> None:
    for variable in VARIABLES.values():
        assert variable.meaning.endswith("."), variable.name
        has_default = variable.default not in (None, ())
        assert has_default or variable.if_unset or variable.needed_by, variable.name
