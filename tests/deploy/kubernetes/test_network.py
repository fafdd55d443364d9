"""Who reaches whom: selectors, the ways in and out, and the one path that Stripe sees."""

from __future__ import annotations

import pytest

from app.stripe.signatures import WEBHOOK_PATH
from tests.deploy.kubernetes.manifests import (
    COMPONENT,
    NAME,
    OVERLAYS,
    Manifest,
    container_of,
    manifests,
    of_kind,
    pods,
    selected,
    selects,
    the,
)

WEB, WORKER, MIGRATE = "identity-web", "identity-worker", "identity-migrate"
ALL = {WEB, WORKER, MIGRATE}
# What each policy is for, by the pods that it is about.
POLICIES = {
    "deny-all": ALL,
    "into-web": {WEB},
    "out-to-dns": ALL,
    "out-to-database": ALL,
    "out-to-redis": {WEB, WORKER},
    "out-to-internet": {WEB, WORKER},
}


def policy(overlay: str, name: str) -> Manifest:
    """The spec of a NetworkPolicy."""
    return dict(the(overlay, "NetworkPolicy", name)["spec"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_workload_and_what_belongs_to_it_select_its_pods_alone(overlay: str) -> None:
    for manifest in of_kind(overlay, "Deployment", "PodDisruptionBudget"):
        assert selected(overlay, manifest["spec"]["selector"]) == {manifest["metadata"]["name"]}
    for deployment in of_kind(overlay, "Deployment"):
        for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            name = deployment["metadata"]["name"]
            assert selected(overlay, spread["labelSelector"]) == {name}
    service = the(overlay, "Service", WEB)
    assert selected(overlay, {"matchLabels": service["spec"]["selector"]}) == {WEB}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_says_what_it_is_of_and_is_in_the_namespace(overlay: str) -> None:
    (own,) = of_kind(overlay, "Namespace")
    for manifest in manifests(overlay):
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == own["metadata"]["name"]
        assert manifest["metadata"]["labels"].keys() >= {NAME, COMPONENT}, manifest["kind"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_policy_is_about_the_pods_that_it_is_for(overlay: str) -> None:
    found = {
        each["metadata"]["name"]: selected(overlay, each["spec"]["podSelector"])
        for each in of_kind(overlay, "NetworkPolicy")
    }
    assert found == POLICIES


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_no_policy_names_is_denied(overlay: str) -> None:
    deny = policy(overlay, "deny-all")
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name in POLICIES.keys() - {"deny-all", "into-web"}:
        assert policy(overlay, name)["policyTypes"] == ["Egress"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_web_is_reached_on_its_port_from_namespaces_that_were_allowed_to(overlay: str) -> None:
    (rule,) = policy(overlay, "into-web")["ingress"]
    (port,) = container_of(pods(overlay)[WEB])["ports"]
    assert rule["ports"] == [{"protocol": "TCP", "port": port["containerPort"]}]
    (source,) = rule["from"]
    assert source == {"namespaceSelector": {"matchLabels": {"may-reach-identity": "true"}}}
    (own,) = of_kind(overlay, "Namespace")
    assert not selects(source["namespaceSelector"], own["metadata"]["labels"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_way_to_the_internet_leads_to_no_address_of_the_inside(overlay: str) -> None:
    (rule,) = policy(overlay, "out-to-internet")["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    v4, v6 = (way["ipBlock"] for way in rule["to"])
    assert (v4["cidr"], v6["cidr"]) == ("0.0.0.0/0", "::/0")
    assert "169.254.0.0/16" in v4["except"]  # where a cloud gives out the node's credentials
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(v4["except"])
    assert "fc00::/7" in v6["except"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_ingress_leads_to_the_webhook_and_nowhere_else(overlay: str) -> None:
    (ingress,) = of_kind(overlay, "Ingress")
    assert "defaultBackend" not in ingress["spec"]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == (WEBHOOK_PATH, "Exact")
    service = the(overlay, "Service", path["backend"]["service"]["name"])
    assert path["backend"]["service"]["port"]["name"] == service["spec"]["ports"][0]["name"]
    (tls,) = ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
