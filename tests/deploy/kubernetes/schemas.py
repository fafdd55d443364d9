"""Manifests held to their schemas: Kubernetes' own, and those of the operators' resources."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
from kubernetes_validate import utils

from tests.deploy.kubernetes.manifests import Manifest

# It would read two megabytes anew for each manifest.
utils.schema_contents = cache(utils.schema_contents)

FOLDER = Path(__file__).parents[1] / "schemas"
# From the oldest that has all that the manifests name to the newest whose schemas we have.
VERSIONS = [each for each in utils.all_versions() if int(each.split(".")[1]) >= 30]
# Of resources that a cluster has only with their operator.
OPERATORS = {
    "ScaledObject": "keda.json",
    "ServiceMonitor": "service-monitor.json",
    "PrometheusRule": "prometheus-rule.json",
}


def problems(manifest: Manifest) -> list[str]:
    """What is wrong with a manifest, in each version: an unknown field, or one of a wrong type."""
    if manifest["kind"] in OPERATORS:
        return _of_operator(manifest)
    return [found for version in VERSIONS for found in _of_kubernetes(manifest, version)]


def _of_kubernetes(manifest: Manifest, version: str) -> list[str]:
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        return [f"{version}: {error.json_path}: {error.message}"]
    return []


def _of_operator(manifest: Manifest) -> list[str]:
    validator = jsonschema.Draft202012Validator(_schema(OPERATORS[manifest["kind"]]))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


@cache
def _schema(name: str) -> Any:
    """A resource's schema, in which an unknown field is a fault, as `kubectl apply` has it."""
    return _closed(json.loads((FOLDER / name).read_text("utf-8"))["schema"])


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.keys() & OPEN:
        closed["additionalProperties"] = False
    return closed


# What allows fields that the schema does not name.
OPEN = {"additionalProperties", "x-kubernetes-preserve-unknown-fields"}
