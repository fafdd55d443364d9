"""An OpenAPI schema in words: its type, and its fields with those inside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.docs.markdown import plain

Schema = Mapping[str, Any]

# Shown once each, behind the calls.
OBJECTS = (
    "Standing",
    "Reference",
    "Refreshed",
    "VerificationSession",
    "VerificationReport",
    "Error",
    "Readiness",
)


def resolve(document: Schema, part: Schema) -> dict[str, Any]:
    """What a `$ref` names, with what stands beside it."""
    found = dict(part)
    while "$ref" in found:
        target: Any = document
        for step in found.pop("$ref").removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        found = {**target, **found}
    return found


def reference(schema: Schema) -> str:
    """The name that a `$ref` has; empty if there is none."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def type_of(document: Schema, schema: Schema) -> str:
    """`string`, `array of string`, some values, or an object of `OBJECTS` as a link."""
    name = reference(schema)
    if name in OBJECTS:
        return f"[{name}](#{name.lower()})"
    schema = resolve(document, schema)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`" if schema["const"] != "" else "an empty string"
    if "oneOf" in schema:
        return " or ".join(type_of(document, each) for each in schema["oneOf"])
    if schema.get("type") == "array":
        return f"array of {type_of(document, schema['items'])}"
    kinds = schema.get("type", "any")
    kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if "default" in schema:
        return f"{kind}, default `{str(schema['default']).lower()}`"
    return kind


def fields(document: Schema, schema: Schema, before: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each field; those within another as `outer.inner`.

    Which are required is said of a body alone, which is where `anyOf` is: an answer has them all.
    """
    schema = resolve(document, schema)
    either = {name for option in schema.get("anyOf", []) for name in option["required"]}
    for name, part in schema.get("properties", {}).items():
        meaning = resolve(document, part).get("description", "")
        if name in either:
            others = " or ".join(f"`{other}`" for other in sorted(either - {name}))
            meaning = f"Required, unless {others} is sent. {meaning}"
        elif either and name in schema.get("required", []):
            meaning = f"Required. {meaning}"
        yield f"`{before}{name}`", type_of(document, part), plain(meaning.strip())
        yield from inside(document, part, f"{before}{name}")


def inside(document: Schema, part: Schema, name: str) -> Iterator[tuple[str, str, str]]:
    """The fields of what a field holds, unless it is an object that is shown by itself."""
    if reference(part) in OBJECTS:
        return
    field = resolve(document, part)
    for option in field.get("oneOf", []):
        yield from inside(document, option, name)
    if field.get("type") == "array":
        yield from inside(document, field["items"], f"{name}[]")
    yield from fields(document, {"properties": field.get("properties", {})}, f"{name}.")
