"""A traceback tells files, lines and lines of source, and nothing of what they worked on."""

from __future__ import annotations

import json

import pytest

from app.domain.errors import Permanent
from app.tracebacks import CUT, MAX_LENGTH, scrubbed, short, source_of

PERSONAL = "jenny.rosen" + "@example.com"  # so that no line of source has it


def look_up(reference: str) -> str:
    users: dict[str, str] = {}
    return users[reference]


def caught(error_of: object, *arguments: object) -> Exception:
    """What a function raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # whatever it is
        error_of(*arguments)  # type: ignore[operator]
    return raised.value


def wrap(reference: str) -> None:
    try:
        look_up(reference)
    except KeyError as error:
        raise Permanent("no such user") from error


def test_it_names_file_line_function_and_source_and_quotes_no_value() -> None:
    text = scrubbed(caught(look_up, PERSONAL))
    lines = text.splitlines()
    assert lines[0] == "KeyError"
    assert lines[-2].startswith("  tests/test_tracebacks.py:")
    assert lines[-2].endswith(", in look_up")
    assert lines[-1] == "    return users[reference]"
    assert PERSONAL not in text


def test_the_first_cause_comes_first_and_only_our_own_errors_have_their_texts() -> None:
    text = scrubbed(caught(wrap, PERSONAL))
    cause, led_to = text.split("\n\nwhich led to\n\n")
    assert cause.startswith("KeyError\n")
    assert led_to.startswith("Permanent: no such user\n")
    assert PERSONAL not in text


def test_a_context_that_was_suppressed_is_left_out() -> None:
    def hide() -> None:
        try:
            look_up(PERSONAL)
        except KeyError:
            raise Permanent("no such user") from None

    assert "which led to" not in scrubbed(caught(hide))


def test_a_deep_recursion_is_cut_to_its_deepest_frames() -> None:
    def dive(depth: int) -> None:
        if not depth:
            raise ValueError(PERSONAL)
        dive(depth - 1)

    text = scrubbed(caught(dive, 500))
    assert len(text) <= MAX_LENGTH
    assert text.splitlines()[-1] == "    raise ValueError(PERSONAL)"


def test_a_long_chain_is_cut_at_a_line() -> None:
    def chain(depth: int, times: int) -> None:
        try:
            if depth:
                chain(depth - 1, times)
            elif times:
                chain(20, times - 1)
            raise ValueError(PERSONAL)
        except (ValueError, RuntimeError) as error:
            if not depth:
                raise RuntimeError(PERSONAL) from error
            raise

    text = scrubbed(caught(chain, 20, 3))
    assert len(text) <= MAX_LENGTH
    assert text.splitlines()[-1] == CUT


def test_an_error_in_a_library_names_the_line_that_called_it() -> None:
    found = source_of(caught(lambda: json.loads("{")))
    assert found is not None
    assert found.startswith("raw_decode (json/decoder.py:")
    assert "called from <lambda> (tests/test_tracebacks.py:" in found


def test_an_error_without_a_traceback_has_no_source() -> None:
    assert source_of(ValueError(PERSONAL)) is None


def test_a_file_outside_of_every_path_is_shown_by_its_name_alone() -> None:
    assert short("/home/jenny/secret/hook.py") == "hook.py"
