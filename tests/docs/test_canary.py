"""No page holds a secret, nor what could be taken for one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, name_of, read

# The forms of what must not be shown: Stripe's keys and secrets, tokens, passwords in addresses,
# people's addresses.
SECRETS = (
    re.compile(r"\b(?:whsec|[srp]k_(?:live|test)|sk_org_(?:live|test))_[A-Za-z0-9+/=]{8,}"),
    re.compile(r"\b[0-9a-f]{32,}\b"),
    re.compile(
        r"\b(?=[A-Za-z0-9+/]*[0-9])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])[A-Za-z0-9+/]{28,}={0,2}"
    ),
    re.compile(r"\beyJ[A-Za-z0-9_-]{10,}"),
    re.compile(r"Bearer [A-Za-z0-9._-]{16,}"),
    re.compile(r"[a-z+]+://[^/\s:@`]*:(?!PASSWORD\b|password\b|\$|…)[^@/\s`]+@"),
    re.compile(r"[\w.+-]+@(?!example\.)[\w-]+\.(?:com|org|net|io)\b"),
)


def leaks(text: str) -> list[str]:
    """What in the text has the form of a secret."""
    return [match[0] for pattern in SECRETS for match in pattern.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_holds_no_secret(page: Path) -> None:
    assert leaks(read(page)) == []


@pytest.mark.parametrize(
    "planted",
    [
        "STRIPE_API_KEY=sk_" + "test_4eC39HqLyjWDarjtT1zdp7dc",
        "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "REDIS_URL=rediss://default:s3cret@redis.example:6379/0",
        "Authorization: Bearer abcdefghijklmnop",
        "jenny.rosen@gmail.com",
        "4f1c9ab277d04f1c9ab277d04f1c9ab2",
    ],
)
def test_a_secret_is_found(planted: str) -> None:
    assert leaks(f"text {planted} text")


@pytest.mark.parametrize(
    "placeholder",
    ["whsec_…", "sk_test_…", "redis://user:password@host:6379/0", "Bearer $TOKEN", "vs_…"],
)
def test_a_placeholder_is_none(placeholder: str) -> None:
    assert leaks(placeholder) == []
