// A session's life by Stripe's package for Node, pointed at our API: see ../test_stripes_packages.py.
import assert from "node:assert/strict";
import Stripe from "stripe";

const { WEB, SANDBOX, API_TOKEN, USER_ID } = process.env;
const { protocol, hostname, port } = new URL(WEB);
const address = { protocol: protocol.replace(":", ""), host: hostname, port };
const stripe = new Stripe(API_TOKEN, address);
const sessions = stripe.identity.verificationSessions;
const reports = stripe.identity.verificationReports;

async function submit(session, outcome) {
  const body = JSON.stringify({ outcome });
  const url = `${SANDBOX}/_sandbox/sessions/${session.id}/submit`;
  assert.ok((await fetch(url, { method: "POST", body })).ok);
}

async function standing(status) {
  const until = Date.now() + 30_000;
  for (;;) {
    const found = await stripe.rawRequest("GET", `/v1/references/${USER_ID}`);
    if (found.standing.status === status) return found.standing;
    assert.ok(Date.now() < until, `${USER_ID} is ${found.standing.status}, not ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function ids(list) {
  const found = [];
  for await (const each of list) found.push(each.id);
  return found;
}

const params = { type: "document", client_reference_id: USER_ID };
const created = await sessions.create(params);
assert.equal(created.resumed, false);
assert.ok(created.client_secret && created.url);
assert.match(created.lastResponse.requestId, /^req_/);

const resumed = await sessions.create(params);
assert.deepEqual([resumed.id, resumed.resumed], [created.id, true]);

const key = { idempotencyKey: `key-of-${USER_ID}` };
assert.equal((await sessions.create(params, key)).id, created.id);

const changed = await sessions.update(created.id, { metadata: { plan: "gold" } });
assert.deepEqual(changed.metadata, { plan: "gold" });

await submit(created, "document_expired");
assert.equal((await standing("requires_input")).session_id, created.id);
await submit(created, "verified");
await standing("verified");

const retrieved = await sessions.retrieve(created.id, { expand: ["verified_outputs"] });
assert.equal(retrieved.status, "verified");
assert.ok(retrieved.verified_outputs.first_name);

const anew = await sessions.create({ ...params, reverify: true });
assert.equal((await sessions.cancel(anew.id)).status, "canceled");
const listed = await ids(sessions.list({ client_reference_id: USER_ID, limit: 1 }));
assert.deepEqual(listed, [anew.id, created.id]);

const ofSession = await ids(reports.list({ verification_session: created.id, limit: 1 }));
assert.equal(ofSession.length, 2);
assert.equal(ofSession[0], retrieved.last_verification_report);
const report = await reports.retrieve(ofSession[0]);
assert.equal(report.document.status, "verified");

const { StripeAPIError, StripeAuthenticationError } = Stripe.errors;
const { StripeIdempotencyError, StripeInvalidRequestError } = Stripe.errors;
const refused = (type, of) => (error) => {
  assert.ok(error instanceof type, error);
  assert.match(error.requestId, /^req_/);
  for (const [name, value] of Object.entries(of)) assert.equal(error[name], value);
  return true;
};
await assert.rejects(
  sessions.retrieve("vs_unknown"),
  refused(StripeInvalidRequestError, { code: "resource_missing", statusCode: 404 }),
);
await assert.rejects(
  sessions.create({ ...params, reverify: true, color: "red" }),
  refused(StripeInvalidRequestError, {
    code: "parameter_unknown",
    message: "Received unknown parameter: color",
  }),
);
await assert.rejects(
  sessions.create({ ...params, reverify: true }, key),
  refused(StripeIdempotencyError, { statusCode: 400 }),
);
await assert.rejects(
  new Stripe("wrong", address).identity.verificationSessions.list(),
  refused(StripeAuthenticationError, { statusCode: 401 }),
);
await assert.rejects(
  sessions.create(params),
  refused(StripeAPIError, { code: "reference_verified", statusCode: 409 }),
);

assert.equal((await sessions.redact(created.id)).redaction.status, "processing");
console.log("lived");
