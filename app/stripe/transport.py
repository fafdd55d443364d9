"""How a call goes to Stripe: to STRIPE_API_BASE with our key, and nowhere else, with no other."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter

# Connections that are kept for the next call; the web process makes 30 calls at once.
MAX_CONNECTIONS = 32


class StripeSession(requests.Session):
    """One for all threads: it keeps connections, and nothing that one call leaves for another."""

    def __init__(self) -> None:
        """Nothing connects yet."""
        super().__init__()
        # Else a `.netrc` that names the host, or a password in the address, takes the key's place.
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=MAX_CONNECTIONS))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is followed: a person's data would go to wherever it leads."""
