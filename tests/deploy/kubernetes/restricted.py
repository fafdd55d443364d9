"""The Pod Security Standard "restricted", as Kubernetes publishes it, for what a pod is made of.

By https://kubernetes.io/docs/concepts/security/pod-security-standards/, for Linux.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Part = dict[str, Any]

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}  # fmt: skip
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = {"RuntimeDefault", "Localhost"}
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(pod: Part) -> list[str]:
    """What of a pod's spec the standard does not allow."""
    found = list(_of_pod(pod))
    containers = [each for group in CONTAINERS for each in pod.get(group) or []]
    for container in containers:
        found += _of_container(container, pod.get("securityContext") or {})
    return found


def _of_pod(pod: Part) -> Iterator[str]:
    context = pod.get("securityContext") or {}
    for shared in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(shared):
            yield shared
    for volume in pod.get("volumes") or []:
        if not volume.keys() - {"name"} <= VOLUMES:
            yield "volumes"
    if {each["name"] for each in context.get("sysctls") or []} - SYSCTLS:
        yield "sysctls"
    yield from _of_either(context)


def _of_container(container: Part, of_pod: Part) -> Iterator[str]:
    context = container.get("securityContext") or {}
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities.drop"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if context.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "hostPort"
    if context.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot"
    profile = context.get("seccompProfile") or of_pod.get("seccompProfile") or {}
    if profile.get("type") not in PROFILES:
        yield "seccompProfile"
    yield from _of_either(context)
    yield from _of_handlers(container)


def _of_either(context: Part) -> Iterator[str]:
    """Of a security context, a pod's or a container's."""
    if context.get("runAsUser") == 0:
        yield "runAsUser"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
    apparmor = context.get("appArmorProfile") or {}
    if apparmor.get("type", "RuntimeDefault") not in PROFILES:
        yield "appArmorProfile"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "hostProcess"


def _of_handlers(container: Part) -> Iterator[str]:
    """Probes and lifecycle hooks that the node would send elsewhere than to the pod."""
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(probe) or {} for probe in PROBES]
    handlers += [lifecycle.get(hook) or {} for hook in ("preStop", "postStart")]
    for handler in handlers:
        if any((handler.get(way) or {}).get("host") for way in ("httpGet", "tcpSocket")):
            yield "host of a probe or hook"
