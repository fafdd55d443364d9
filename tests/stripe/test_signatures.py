"""Only what Stripe has signed passes, and all else is one error."""

from __future__ import annotations

import hmac
import re
from contextlib import suppress
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Secret
from stripe import SignatureVerificationError, WebhookSignature

from app.configuration.credentials import SigningSecret
from app.domain.errors import BadSignature
from app.stripe.signatures import TOLERANCE, read_header, verify

NOW = 1_700_000_000
SECRETS = (Secret("whsec_current"), Secret("whsec_rolled"))
READ = [SigningSecret(secret, None) for secret in SECRETS]
BODY = '{"id": "evt_1", "name": "Jürgen 用户"}'


def header(body: str = BODY, secret: Secret = SECRETS[0], at: int = NOW) -> str:
    """What Stripe's own package makes."""
    made: str = WebhookSignature.generate_signature_header(body, str(secret), at)
    return made


def assert_bad(body: bytes, told: str, now: float = NOW) -> str:
    with pytest.raises(BadSignature) as refusal:
        verify(body, told, READ, now)
    return str(refusal.value)


@given(body=st.text(), secret=st.sampled_from(SECRETS), age=st.integers(-TOLERANCE, TOLERANCE))
def test_what_stripes_package_signs_passes(body: str, secret: Secret, age: int) -> None:
    read = READ[SECRETS.index(secret)]
    assert verify(body.encode(), header(body, secret, NOW - age), READ, NOW) == (body, read)


@given(data=st.data())
def test_a_changed_byte_fails(data: st.DataObject) -> None:
    body = bytearray(BODY.encode())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    assert_bad(bytes(body), header())


@given(cut=st.integers(1, len(BODY.encode())))
def test_a_body_cut_short_fails(cut: int) -> None:
    assert_bad(BODY.encode()[:-cut], header())


@given(data=st.data())
def test_a_changed_digit_of_the_signature_fails(data: st.DataObject) -> None:
    start, _, signature = header().rpartition("=")
    at = data.draw(st.integers(0, len(signature) - 1))
    digit = data.draw(st.sampled_from("0123456789abcdefX").filter(lambda d: d != signature[at]))
    assert_bad(BODY.encode(), f"{start}={signature[:at]}{digit}{signature[at + 1 :]}")


@given(body=st.binary(), told=st.text())
def test_anything_at_all_is_told_as_a_bad_signature(body: bytes, told: str) -> None:
    assert_bad(body, told)


PART = st.sampled_from(["t=", "v1=", "v0=", "t", "v1", "=", ",", " ", str(NOW), header()[-64:]])


@given(body=st.binary(), told=st.lists(PART | st.text(max_size=5)).map("".join))
def test_anything_like_a_header_is_told_as_a_bad_signature(body: bytes, told: str) -> None:
    assert_bad(body, told)


@given(told=st.lists(PART | st.just(header())).map("".join))
def test_parts_of_a_good_header_pass_or_are_a_bad_signature(told: str) -> None:
    try:
        assert verify(BODY.encode(), told, READ, NOW) == (BODY, READ[0])
    except BadSignature:
        assert told != header()


@given(body=st.binary())
def test_a_signed_body_that_is_not_utf_8_is_a_bad_signature(body: bytes) -> None:
    body += b"\xff"
    mac = hmac.new(b"whsec_current", b"%d." % NOW + body, sha256).hexdigest()
    assert "UTF-8" in assert_bad(body, f"t={NOW},v1={mac}")


@pytest.mark.parametrize("age", [TOLERANCE + 1, -TOLERANCE - 1, NOW, 10**6])
def test_beyond_the_tolerance_fails_either_way(age: int) -> None:
    assert "clock" in assert_bad(BODY.encode(), header(at=NOW - age))


@pytest.mark.parametrize(
    "told", [header().replace(",", ", "), header().replace(",", " ,  "), f" {header()} "]
)
def test_spaces_between_the_parts_are_no_fault(told: str) -> None:
    assert verify(BODY.encode(), told, READ, NOW) == (BODY, READ[0])


def test_parts_that_stripe_may_add_are_no_fault() -> None:
    told = f"{header()},v0=abc,v2=def,v1={'0' * 64}"
    assert verify(BODY.encode(), told, READ, NOW) == (BODY, READ[0])


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("", "timestamp"),
        ("garbage", "timestamp"),
        (header(at=NOW - TOLERANCE - 1), "clock"),
        (header(at=NOW + TOLERANCE + 1), "clock"),
        (f"t={NOW}", "no v1 signature"),
        (f"t={NOW},v0=abc", "no v1 signature"),
        (f"t={NOW},v1", "no v1 signature"),
    ],
)
def test_a_header_that_no_body_could_fit_is_bad_by_itself(told: str, why: str) -> None:
    with pytest.raises(BadSignature, match=why):
        read_header(told, NOW)


def test_a_header_that_some_body_may_fit_gives_its_time_and_signatures() -> None:
    assert read_header(f"t={NOW},v1=a,v0=b,v1=c", NOW) == (NOW, ["a", "c"])


def test_two_times_fail_even_where_one_of_them_is_right() -> None:
    old = NOW - 9_999
    assert_bad(BODY.encode(), f"t={NOW},{header(at=old)}")
    assert_bad(BODY.encode(), f"{header(at=old)},t={NOW}")
    assert_bad(BODY.encode(), f"t={NOW},{header()}")


@pytest.mark.parametrize("mode", [True, False, None])
def test_the_mode_is_that_of_the_secret_that_verifies(mode: bool | None) -> None:
    read = [SigningSecret(SECRETS[1], not mode), SigningSecret(SECRETS[0], mode)]
    assert verify(BODY.encode(), header(), read, NOW) == (BODY, read[1])
    assert read[1].livemode is mode


def test_without_secrets_nothing_passes() -> None:
    with pytest.raises(BadSignature):
        verify(BODY.encode(), header(), (), NOW)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (BODY.encode(), header(secret=Secret("whsec_unknown"))),
        (BODY.encode(), f"t={NOW},v1=PLANTED"),
        (BODY.encode(), "PLANTED"),
        (b"PLANTED \xff", header()),
    ],
)
def test_a_refusal_quotes_nothing(body: bytes, told: str) -> None:
    with pytest.raises(BadSignature) as refusal:
        verify(body, told, READ, NOW)
    text = str(refusal.value)
    assert not any(part in text for part in ("PLANTED", "whsec", "Jürgen"))
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


# --- the verdict of Stripe's own package --------------------------------------------------------

PARTS = st.sampled_from(
    [
        "t",
        "t=",
        "t=1",
        "v1",
        "v1=",
        "v1=a=b",
        "v0=a",
        "=",
        "",
        "v1 =a",
        "V1=a",
        "é",
        "v1=é",
        "t=1=2",
    ]
)


def verdict_of_the_package(body: bytes, header: str, secrets: list[Secret]) -> bool:
    """Whether it verifies the header, whose time is ours to judge."""
    for secret in secrets:
        with suppress(SignatureVerificationError, UnicodeDecodeError, TypeError):
            WebhookSignature.verify_header(body, header.replace(" ", ""), str(secret), None)
            return True
    return False


def is_timely(header: str) -> bool:
    """What we ask for beyond the package, which takes the first `t=` of several, of any age."""
    times = [part for part in header.replace(" ", "").split(",") if part.startswith("t=")]
    if len(times) != 1 or not re.fullmatch("t=[0-9]{1,12}", times[0], re.ASCII):
        return False
    return abs(NOW - int(times[0][2:])) <= TOLERANCE


@settings(deadline=None, max_examples=500, database=None)
@given(
    body=st.binary(max_size=20) | st.text(max_size=20).map(lambda text: text.encode()),
    signed_by=st.lists(st.sampled_from(["whsec_a", "whsec_b", "whsec_other", " "]), max_size=3),
    at=st.integers(-TOLERANCE - 1, TOLERANCE + 1),
    more=st.lists(PARTS, max_size=3),
    order=st.randoms(use_true_random=False),
    glue=st.sampled_from([",", ", ", " ,", ",,"]),
    changed=st.none() | st.tuples(st.integers(0, 200), st.text(max_size=2)),
    zeros=st.sampled_from(["", "0", "00"]),
)
def test_the_verdict_is_that_of_the_package(
    body: bytes,
    signed_by: list[str],
    at: int,
    more: list[str],
    order: Random,
    glue: str,
    changed: tuple[int, str] | None,
    zeros: str,
) -> None:
    seconds = int(NOW) + at
    payload = b"%d." % seconds + body
    signatures = [hmac.digest(secret.encode(), payload, "sha256").hex() for secret in signed_by]
    parts = [f"t={zeros}{seconds}", *(f"v1={signature}" for signature in signatures), *more]
    order.shuffle(parts)
    header = glue.join(parts)
    if changed is not None:
        place = changed[0] % len(header)
        header = header[:place] + changed[1] + header[place + 1 :]
    secrets = [Secret("whsec_a"), Secret("whsec_b"), Secret(" ")]
    try:
        ours = (
            verify(body, header, [SigningSecret(each, None) for each in secrets], NOW)[0]
            == body.decode()
        )
    except BadSignature:
        ours = False
    theirs = verdict_of_the_package(body, header, secrets)
    assert ours == (theirs and header.isascii() and is_timely(header))
