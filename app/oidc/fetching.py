"""Asks the provider: no redirect, no `.netrc`, and every answer bounded in time and in length."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from app.oidc.errors import ProviderAway, ProviderUnusable

# Seconds: to connect, between two parts of an answer, and for all of an answer's body.
CONNECT, READ, WHOLE = 3.0, 5.0, 10.0
MAX_ANSWER = 512 * 1024  # bytes; keys and what is said of a person take a few thousand
PART = 16 * 1024
BUSY = 429

# What every call is made with. An answer is read by `read_json`, no further than its limit.
OPTIONS: dict[str, Any] = {"allow_redirects": False, "stream": True}
TIMEOUT = (CONNECT, READ)


def get_json(url: str, what: str, bearer: str | None = None) -> dict[str, Any]:
    """The JSON object at an address; `what` it is, in words.

    Raises ProviderAway and ProviderUnusable.
    """
    headers = {"Accept": "application/json"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    try:
        # Else a `.netrc` that names the host takes the token's place.
        answer = requests.get(
            url, headers=headers, auth=lambda request: request, timeout=TIMEOUT, **OPTIONS
        )
    except requests.RequestException as error:
        raise away(url, error) from None
    found = read_json(answer, what)
    if answer.status_code != requests.codes.ok:
        raise ProviderUnusable(f"the provider answers {answer.status_code} when asked for {what}")
    return found


def read_json(answer: requests.Response, what: str) -> dict[str, Any]:
    """The JSON object of an answer of 200 or 4xx. Raises ProviderAway and ProviderUnusable."""
    status = answer.status_code
    with answer:
        if status >= requests.codes.server_error or status == BUSY:
            raise ProviderAway(f"the provider answers {status} when asked for {what}")
        if status != requests.codes.ok and status < requests.codes.bad_request:
            raise ProviderUnusable(f"the provider answers {status} when asked for {what}")
        body = _body(answer, what)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderUnusable(f"the provider answers {status} without JSON when asked for {what}")
    return found


def away(url: str, error: Exception) -> ProviderAway:
    """What is said of a call that did not come about."""
    host = urlsplit(url).hostname
    return ProviderAway(f"the provider at {host} cannot be reached ({type(error).__name__})")


def _body(answer: requests.Response, what: str) -> bytes:
    body, until = b"", time.monotonic() + WHOLE
    try:
        while part := answer.raw.read1(PART, decode_content=True):
            body += part
            if len(body) > MAX_ANSWER:
                raise ProviderUnusable(f"the provider's answer is too long when asked for {what}")
            if time.monotonic() > until:
                raise ProviderAway(f"the provider is too slow when asked for {what}")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise away(answer.url, error) from None
    return body
