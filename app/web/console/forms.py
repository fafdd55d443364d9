"""A posted form, read no further than its limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from app.domain.errors import Rejected
from app.web.body import read_body

MAX_FORM = 64 * 1024  # bytes
MAX_FIELDS = 1_000
FORM_TYPE = "application/x-www-form-urlencoded"


class BadForm(Rejected):
    """What was posted is no form that the console has."""


class FieldMissing(BadForm, KeyError):
    """The form lacks a field that the action needs."""

    def __init__(self, name: str) -> None:
        """`name` is the field's."""
        super().__init__(name)
        self._name = name

    def __str__(self) -> str:
        return f"the form has no `{self._name}`"


class Form(Mapping[str, str]):
    """The fields of a form. One that is there several times has the last value."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """`pairs` are names and values, as they came."""
        self._pairs = pairs
        self._fields = dict(pairs)

    def __getitem__(self, name: str) -> str:
        """The field's value. Raises FieldMissing."""
        try:
            return self._fields[name]
        except KeyError:
            raise FieldMissing(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def getlist(self, name: str) -> list[str]:
        """All values of a field, as those of boxes that were ticked."""
        return [value for each, value in self._pairs if each == name]


async def read_form(request: Request) -> Form:
    """The form that was posted. Raises BadForm, BodyTooLarge, BodyTooSlow."""
    body = await read_body(request.scope, request.receive, MAX_FORM)
    type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type != FORM_TYPE and body:
        raise BadForm(f"Content-Type has to be {FORM_TYPE}")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise BadForm("the form cannot be read") from None
    return Form(pairs)
