"""A call to Stripe goes to STRIPE_API_BASE with our key, whatever else is on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from app.stripe.client import StripeApi
from app.stripe.errors import StripeUnavailable
from tests.support import http_server

SESSION = (
    '{"id": "vs_1", "object": "identity.verification_session", "created": 1, "livemode": false,'
    ' "status": "verified", "type": "document"}'
)


@contextmanager
def serving(status: int, **headers: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server's address, and the headers of each request that it got."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers["content-length"] or 0))
            self.send_response_only(status)
            self.send_header("Date", formatdate(usegmt=True))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(SESSION)))
            self.end_headers()
            self.wfile.write(SESSION.encode())

        def do_POST(self) -> None:
            self.do_GET()

    with http_server.serving(Handler) as url:
        yield url, asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_is_told(status: int) -> None:
    with serving(200) as (elsewhere, asked), serving(status, Location=elsewhere) as (base, _):
        api = StripeApi("sk_test_1", base)
        for call in (lambda: api.retrieve("vs_1", ""), lambda: api.list_sessions({})):
            with pytest.raises(StripeUnavailable, match=f"redirect .{status}. is not followed"):
                call()
        with pytest.raises(StripeUnavailable, match="look at STRIPE_API_BASE"):
            api.create({"type": "document"}, "", "key")
        assert asked == []


def test_the_key_is_ours_whatever_netrc_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(200) as (base, asked):
        StripeApi("sk_test_1", base).retrieve("vs_1", "")
    assert [each["authorization"] for each in asked] == ["Bearer sk_test_1"]


def test_no_cookie_of_one_call_goes_with_the_next() -> None:
    with serving(200, Set_Cookie="a=1; Path=/") as (base, asked):
        api = StripeApi("sk_test_1", base)
        for _ in range(2):
            api.retrieve("vs_1", "")
    assert ["cookie" in each for each in asked] == [False, False]
