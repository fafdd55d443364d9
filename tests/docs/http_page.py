"""docs/reference/http.md, from the OpenAPI description that `/openapi.json` answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.web.openapi import DESCRIPTION
from tests.docs.markdown import notice, plain, table
from tests.docs.schemas import OBJECTS, fields, resolve, type_of

METHODS = {"get", "post", "put", "patch", "delete"}
ERROR = "[Error](#error)"  # the body of all that is refused or fails


def page() -> str:
    """The whole page."""
    document = json.loads(DESCRIPTION)
    parts = [top(document)]
    for tag in document["tags"]:
        parts.append(f"## {tag['name']}\n\n{tag['description']}\n")
        parts += [
            call(document, method, path, operation)
            for method, path, operation in operations(document)
            if tag["name"] in operation["tags"]
        ]
    parts += [errors(document), "## Objects\n"]
    parts += [shown(document, name) for name in OBJECTS]
    return "\n".join(parts)


def top(document: Mapping[str, Any]) -> str:
    """What holds for every call."""
    token = document["components"]["securitySchemes"]["token"]["description"]
    return (
        f"# HTTP API\n\n{notice('app/web/openapi.yaml')}\n\n"
        f"{document['info']['description']}\n\n"
        "The same as an OpenAPI 3.1 document is at `GET /openapi.json`.\n\n"
        f"**The token.** {token}\n"
    )


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of every call; a path that stands for another is left out."""
    for path, item in document["paths"].items():
        shared = item.get("parameters", [])
        for method in [key for key in item if key in METHODS]:
            own = item[method]
            yield method, path, own | {"parameters": shared + own.get("parameters", [])}


def aliases(document: Mapping[str, Any], path: str) -> list[str]:
    """The other addresses of a path."""
    target = "#/paths/" + path.replace("~", "~0").replace("/", "~1")
    return [other for other, item in document["paths"].items() if item.get("$ref") == target]


def call(document: Mapping[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    """One call: what it does, its parameters, its answers."""
    lines = [f"### {method.upper()} {path}\n", f"{operation['summary']}.\n"]
    lines += [f"{operation['description']}\n"] if "description" in operation else []
    lines += [f"Also at `{other}`.\n" for other in aliases(document, path)]
    if operation.get("security") == []:
        lines.append("Needs no token.\n")
    parameters = [resolve(document, each) for each in operation["parameters"]]
    if parameters:
        rows = [parameter_row(document, each) for each in parameters]
        lines.append(table(("parameter", "in", "type", "meaning"), rows))
    if sent := operation.get("requestBody"):
        schema = next(iter(sent["content"].values()))["schema"]
        forms = " or ".join(f"`{media}`" for media in sent["content"])
        rows = list(fields(document, schema))
        lines.append(f"The body, as {forms}:\n")
        if rows:
            lines.append(table(("field", "type", "meaning"), rows))
        else:
            lines.append(f"{schema.get('description', '')}\n")
    answers = [answer_row(document, *each) for each in sorted(operation["responses"].items())]
    lines.append(table(("status", "meaning", "body"), [row for row in answers if row[2] != ERROR]))
    bad = [row[0] for row in answers if row[2] == ERROR]
    lines += [f"[Errors](#errors): {', '.join(bad)}.\n"] if bad else []
    return "\n".join(lines)


def errors(document: Mapping[str, Any]) -> str:
    """Every error, once: its status, and what it can mean."""
    found: dict[str, list[str]] = {}
    for _, _, operation in operations(document):
        for answer in operation["responses"].items():
            status, meaning, held = answer_row(document, *answer)
            if held == ERROR and meaning not in found.setdefault(status, []):
                found[status].append(meaning)
    rows = [(status, "<br>".join(meanings)) for status, meanings in sorted(found.items())]
    return (
        f"## Errors\n\nThe body is an {ERROR}, in Stripe's format. Which of them a call can be "
        f"answered with stands with the call.\n\n{table(('status', 'meaning'), rows)}"
    )


def parameter_row(document: Mapping[str, Any], parameter: Mapping[str, Any]) -> tuple[str, ...]:
    """One line of the parameters' table."""
    schema = resolve(document, parameter["schema"])
    meaning = parameter.get("description") or schema.get("description", "")
    needed = "Required. " if parameter.get("required") else ""
    return (
        f"`{parameter['name']}`",
        parameter["in"],
        type_of(document, parameter["schema"]),
        plain(f"{needed}{meaning}".strip()),
    )


def answer_row(
    document: Mapping[str, Any], status: str, answer: Mapping[str, Any]
) -> tuple[str, str, str]:
    """One line of the answers' table."""
    answer = resolve(document, answer)
    bodies = [body(document, media["schema"]) for media in answer.get("content", {}).values()]
    return status, plain(answer["description"]), " or ".join(bodies)


def body(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What an answer holds: an object by its name, or the fields of one that has none."""
    if "allOf" in schema:
        return ", with ".join(body(document, each) for each in schema["allOf"])
    names = ", ".join(f"`{name}`" for name in schema.get("properties", {}))
    return names or type_of(document, schema)


def shown(document: Mapping[str, Any], name: str) -> str:
    """One object, field by field."""
    schema = document["components"]["schemas"][name]
    rows = list(fields(document, schema))
    described = f"{schema['description']}\n\n" if "description" in schema else ""
    return f"### {name}\n\n{described}{table(('field', 'type', 'meaning'), rows)}"
