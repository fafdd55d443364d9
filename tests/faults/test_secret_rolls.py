"""Secrets rolled under load, as docs/how-to/roll-a-secret.md says, with its restarts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.faults.conftest import MakeRig
from tests.faults.rig import Rig
from tests.faults.sender import REFUSED_FOR, SECRET, Sender
from tests.faults.traffic import Traffic, traffic
from tests.faults.verdict import judge
from tests.support.waiting import eventually

NEW = "whsec_faults_rolled"
PASSWORDS = ("old-password", "new-password")

pytestmark = pytest.mark.slow


@pytest.fixture
def lives() -> Traffic:
    """Enough to be under way in every step."""
    return traffic(80, seed=23)


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()


@pytest.fixture
def sender(rig: Rig) -> Iterator[Sender]:
    with Sender(rig.port, rate=50) as sender:
        yield sender


def restart(rig: Rig, sender: Sender, **environment: str) -> None:
    """Restart every process with these settings, in the middle of work."""
    sees_work(sender)
    codes, _ = rig.terminate()
    assert codes == [0, 0], rig.tail()
    rig.environment |= environment
    rig.start()
    sees_work(sender)


def sees_work(sender: Sender) -> None:
    reached = sender.answers[200]
    assert not sender.is_done, "the load ended too early to show anything"
    eventually(lambda: sender.answers[200] > reached + 10, 60, "deliveries are taken")


def assert_nothing_lost(rig: Rig, sender: Sender, lives: Traffic) -> None:
    sender.finish(60)
    verdict = judge(rig, sender, lives)
    assert not verdict.faults, verdict.faults
    assert verdict.dead == 0
    assert set(sender.acknowledged) == set(lives.events)
    assert sender.longest_refusal < REFUSED_FOR


def test_a_signing_secret_rolled_under_load_refuses_no_signature_and_loses_nothing(
    rig: Rig, sender: Sender, lives: Traffic
) -> None:
    rig.start()
    sender.give(lives.deliveries)
    sees_work(sender)
    sender.secrets = (NEW, SECRET)
    restart(rig, sender, STRIPE_WEBHOOK_SECRET=f"{NEW},{SECRET}")
    sender.secrets = (NEW,)
    restart(rig, sender, STRIPE_WEBHOOK_SECRET=NEW)
    assert_nothing_lost(rig, sender, lives)
    assert not sender.answers[400]


def test_the_password_of_redis_rolled_under_load_loses_nothing(
    rig: Rig, sender: Sender, lives: Traffic
) -> None:
    old, new = PASSWORDS
    user = "product"
    rules = (">" + old, "on", "~*", "&*", "+@all")
    admin: Redis = rig.redis
    admin.execute_command("ACL", "SETUSER", user, *rules)
    address = rig.environment["REDIS_URL"]
    rig.environment["REDIS_URL"] = as_user(address, user, old)
    rig.start()
    sender.give(lives.deliveries)
    sees_work(sender)
    admin.execute_command("ACL", "SETUSER", user, ">" + new)
    restart(rig, sender, REDIS_URL=as_user(address, user, new))
    admin.execute_command("ACL", "SETUSER", user, "<" + old)
    admin.execute_command("CLIENT", "KILL", "USER", user, "SKIPME", "yes")
    sees_work(sender)
    assert_nothing_lost(rig, sender, lives)


def as_user(address: str, user: str, password: str) -> str:
    return address.replace("://", f"://{user}:{password}@", 1)
