"""Dead letters of sessions whose redaction the ledger learns of by itself."""

from __future__ import annotations

from app.operations.import_sessions import SessionImport
from app.operations.purge_letters import purge_new_letters
from tests.support.account import DAY, Account
from tests.support.places import field
from tests.support.workers import event_job


def test_a_redaction_that_an_import_brings_reaches_the_letters_that_were_looked_at_before(
    account: Account,
) -> None:
    stores = account.context.stores
    session = account.verified()
    stores.events.enqueue(event_job("evt_1", session=session, reference="jenny"))
    (job,) = stores.events.claim("token", 60, 1)
    stores.events.bury(job, "permanent_error", "Broken", "it broke")
    assert purge_new_letters(stores) == 0
    account.side.redact(session)
    account.advance(5 * DAY)
    run = SessionImport(account.stripe, stores, livemode=False, now=account.context.now)
    assert list(run.steps())
    assert purge_new_letters(stores) == 1
    assert "jenny" not in str(field(stores.redis, "evt_1", "data"))
