"""As much of Kubernetes' API as kubectl needs to deploy: it keeps objects, and runs none.

A Job is complete and a Deployment rolled out as soon as they are there, so that what is seen is the
order of kubectl's calls, and what is in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.support.http_server import serving

Body = dict[str, Any]

# The resources that the overlays have: group and version, the plural, the kind.
RESOURCES = (
    ("v1", "namespaces", "Namespace"),
    ("v1", "configmaps", "ConfigMap"),
    ("v1", "secrets", "Secret"),
    ("v1", "services", "Service"),
    ("v1", "serviceaccounts", "ServiceAccount"),
    ("apps/v1", "deployments", "Deployment"),
    ("batch/v1", "jobs", "Job"),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
    ("networking.k8s.io/v1", "ingresses", "Ingress"),
    ("keda.sh/v1alpha1", "scaledobjects", "ScaledObject"),
    ("monitoring.coreos.com/v1", "servicemonitors", "ServiceMonitor"),
    ("monitoring.coreos.com/v1", "prometheusrules", "PrometheusRule"),
)
VERSIONS = sorted({version for version, _, _ in RESOURCES})
ROLLED_OUT = {
    "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
    "availableReplicas": 1,
}  # fmt: skip
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}


@dataclass
class Api:
    """What is kept, and what was changed: `POST jobs/identity-migrate`."""

    url: str = ""
    objects: dict[str, Body] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    def create(self, path: str, body: Body) -> Body:
        """Keep an object under its name."""
        name = body["metadata"]["name"]
        body["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
        if body["kind"] == "Job":
            body["status"] = COMPLETE
        if body["kind"] == "Deployment":
            body["spec"].setdefault("replicas", 1)
            body["status"] = ROLLED_OUT | {"replicas": body["spec"]["replicas"]}
        self.objects[f"{path}/{name}"] = body
        return body

    def listed(self, path: str) -> Body:
        """The objects of a resource."""
        items = [body for at, body in self.objects.items() if at.rpartition("/")[0] == path]
        return {
            "kind": "List",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": "1"},
            "items": items,
        }


@contextmanager
def playing() -> Iterator[Api]:
    """An API that has nothing yet."""
    api = Api()
    with serving(type("Handler", (_Handler,), {"api": api})) as url:
        api.url = url
        yield api


class _Handler(BaseHTTPRequestHandler):
    api: Api
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        if (found := _discovery(path)) is not None:
            self._answer(200, found)
        elif "watch=" in query:  # so that kubectl lists, and finds all there
            self._answer(422, _status(422, "Invalid"))
        elif path in self.api.objects:
            self._answer(200, self.api.objects[path])
        elif path.rpartition("/")[2] in {plural for _, plural, _ in RESOURCES}:
            self._answer(200, self.api.listed(path))
        else:
            self._answer(404, _status(404, "NotFound"))

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(f"{path}/{body['metadata']['name']}")
        self._answer(201, self.api.create(path, body))

    def do_DELETE(self) -> None:
        path = urlsplit(self.path).path
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.api.objects.pop(path, None) is None:
            self._answer(404, _status(404, "NotFound"))
        else:
            self._note(path)
            self._answer(200, _status(200, ""))

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._note(urlsplit(self.path).path)
        self._answer(200, self.api.objects[urlsplit(self.path).path])

    def _note(self, path: str) -> None:
        self.api.changes.append(f"{self.command} {'/'.join(path.split('/')[-2:])}")

    def _answer(self, status: int, body: Body) -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


def _status(code: int, reason: str) -> Body:
    outcome = "Success" if code == 200 else "Failure"
    return {"kind": "Status", "apiVersion": "v1", "status": outcome, "reason": reason, "code": code}


def _discovery(path: str) -> Body | None:
    """What kubectl asks first: which resources there are."""
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [
            {
                "name": version.partition("/")[0],
                "versions": [{"groupVersion": version, "version": version.partition("/")[2]}],
            }
            for version in VERSIONS
            if "/" in version
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    for version in VERSIONS:
        if path == ("/apis/" if "/" in version else "/api/") + version:
            return {"kind": "APIResourceList", "groupVersion": version, "resources": _of(version)}
    return None


def _of(version: str) -> list[Body]:
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    return [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": kind != "Namespace",
            "kind": kind,
            "verbs": verbs,
        }
        for of, plural, kind in RESOURCES
        if of == version
    ]
