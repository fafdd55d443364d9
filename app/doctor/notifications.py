"""Whether the callback's address may be used, and keeps what is sent there from others."""

from __future__ import annotations

from app.configuration.addresses import check_http_url
from app.doctor.deployment import Deployment
from app.doctor.result import Finding
from app.notifications.addresses import ReceiverRefused, addresses_of, is_public

DEFAULT_PORTS = {"http": 80, "https": 443}


def check_callback(deployment: Deployment) -> Finding:
    """Where NOTIFY_URL leads to. Its name is looked up; nothing is sent."""
    name = "callback"
    deployment.require("NOTIFY_URL")
    settings = deployment.settings
    if settings.notify_url is None:
        return Finding(name, "ok", "off (NOTIFY_URL)")
    parts = check_http_url(settings.notify_url)
    host, port = str(parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        found = addresses_of(host, port, allow_private=settings.notify_allow_private)
    except ReceiverRefused as refused:
        message, _, hint = str(refused).partition(": ")
        return Finding(name, "wrong", message, f"{hint[0].upper()}{hint[1:]}.")
    if parts.scheme == "http" and any(map(is_public, found)):
        message = f"http:// to {host}, a public address: who is on the way reads and changes it"
        return Finding(name, "warning", message, "Use https:// in NOTIFY_URL.")
    return Finding(name, "ok", f"{parts.scheme}:// to {host}")
