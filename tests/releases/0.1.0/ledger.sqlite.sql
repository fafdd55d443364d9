BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE attempts (
	session_id TEXT NOT NULL, 
	account TEXT NOT NULL, 
	livemode BOOLEAN NOT NULL, 
	attempt TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	code TEXT NOT NULL, 
	entered BOOLEAN NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (session_id, account, livemode, attempt), 
	CONSTRAINT fk_attempts_sessions FOREIGN KEY(session_id, account, livemode) REFERENCES sessions (id, account, livemode)
);
INSERT INTO "attempts" VALUES('vs_user-3','',0,'at-1700000000',1700000000,'document_expired',1);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	who TEXT NOT NULL, 
	via TEXT NOT NULL, 
	action TEXT NOT NULL, 
	target TEXT NOT NULL, 
	reference_key TEXT, 
	reason TEXT NOT NULL, 
	result TEXT NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,1700000000,'anna','cli','allow_attempt','{}','9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41','','done');
CREATE TABLE cursors (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_cursors PRIMARY KEY (name)
);
INSERT INTO "cursors" VALUES('counted','1',1700000000);
CREATE TABLE effects (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	account TEXT NOT NULL, 
	livemode BOOLEAN NOT NULL, 
	session_id TEXT NOT NULL, 
	reference_key TEXT, 
	version BIGINT, 
	due BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	enqueued_at BIGINT, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_effects PRIMARY KEY (id)
);
INSERT INTO "effects" VALUES('evt_applied-recheck','recheck','',0,'vs_user-1',NULL,1701000000,1701000900,'pending',1701000000,NULL,1701000000);
CREATE TABLE events (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created BIGINT NOT NULL, 
	account TEXT NOT NULL, 
	livemode BOOLEAN NOT NULL, 
	session_id TEXT NOT NULL, 
	applied_at BIGINT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id)
);
INSERT INTO "events" VALUES('evt_applied','processing',1700000000,'',0,'vs_user-1',1701000000);
INSERT INTO "events" VALUES('evt_done','verified',1700000000,'',0,'vs_user-2',1701000000);
INSERT INTO "events" VALUES('evt_failed','requires_input',1700000000,'',0,'vs_user-3',1701000000);
INSERT INTO "events" VALUES('evt_orphan','verified',1700000000,'',0,'vs_evt_orphan',1701000000);
CREATE TABLE notifications (
	reference_key TEXT NOT NULL, 
	receiver TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_notifications PRIMARY KEY (reference_key, receiver), 
	CONSTRAINT fk_notifications_standings FOREIGN KEY(reference_key) REFERENCES standings ("key")
);
INSERT INTO "notifications" VALUES('24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6','notify_callback',1701000000,'verified',1700000000);
CREATE TABLE operations (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	queue TEXT NOT NULL, 
	selection TEXT NOT NULL, 
	named TEXT, 
	pinned TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	rate DOUBLE, 
	who TEXT NOT NULL, 
	via TEXT NOT NULL, 
	state TEXT NOT NULL, 
	note TEXT NOT NULL, 
	total BIGINT NOT NULL, 
	done BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	gone BIGINT NOT NULL, 
	position DOUBLE, 
	chunk_end DOUBLE, 
	chunk_size BIGINT NOT NULL, 
	holder TEXT NOT NULL, 
	lease_until BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_operations PRIMARY KEY (id)
);
INSERT INTO "operations" VALUES('op_00000001ab','replay','events','{"reference": "user-2"}','d92b69cfb82cecab45c753f56002b2c0e6d01f132fe39f2c878858dc9528e10b','1_2.0_5_abc','the ledger was away',NULL,'anna','cli','running','',5,0,0,0,NULL,NULL,0,'',0,1700000000,1700000000,NULL);
CREATE TABLE schema_compatibility (
	revision TEXT NOT NULL, 
	compatible_since TEXT NOT NULL, 
	CONSTRAINT pk_schema_compatibility PRIMARY KEY (revision)
);
INSERT INTO "schema_compatibility" VALUES('0004','0001');
CREATE TABLE sessions (
	id TEXT NOT NULL, 
	account TEXT NOT NULL, 
	livemode BOOLEAN NOT NULL, 
	created BIGINT NOT NULL, 
	type TEXT, 
	verification_flow TEXT, 
	options TEXT, 
	status TEXT NOT NULL, 
	last_error_code TEXT, 
	report TEXT, 
	as_of BIGINT NOT NULL, 
	event_id TEXT NOT NULL, 
	redaction TEXT, 
	redaction_since BIGINT, 
	redactable_since BIGINT, 
	reference TEXT, 
	reference_source INTEGER NOT NULL, 
	reference_as_of BIGINT NOT NULL, 
	purpose TEXT NOT NULL, 
	purpose_as_of BIGINT NOT NULL, 
	since TEXT NOT NULL, 
	reference_key TEXT, 
	observations BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	poll_at BIGINT, 
	missing_since BIGINT, 
	redaction_claimed BIGINT, 
	CONSTRAINT pk_sessions PRIMARY KEY (id, account, livemode)
);
INSERT INTO "sessions" VALUES('vs_user-1','',0,1700000000,'document','vf_1','{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}','processing',NULL,NULL,1700000000,'evt_applied',NULL,NULL,NULL,'user-1',2,1700000000,'',0,'{"processing":[true,1700000000]}','efa131a1c7cc3796e6e2bac66a1a9ebe168460acc0b92eceb60638e73a68da18',1,1701000000,1701843200,NULL,NULL);
INSERT INTO "sessions" VALUES('vs_user-2','',0,1700000000,'document','vf_1','{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}','verified',NULL,NULL,1700000000,'evt_done',NULL,NULL,1700000000,'user-2',2,1700000000,'',0,'{"verified":[true,1700000000]}','24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6',1,1701000000,NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('vs_user-3','',0,1700000000,'document','vf_1','{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}','requires_input','document_expired',NULL,1700000000,'evt_failed',NULL,NULL,1700000000,'user-3',2,1700000000,'',0,'{"requires_input":[true,1700000000]}','9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41',1,1701000000,1701382400,NULL,NULL);
INSERT INTO "sessions" VALUES('vs_evt_orphan','',0,1700000000,'document','vf_1','{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}','verified',NULL,NULL,1700000000,'evt_orphan',NULL,NULL,1700000000,NULL,0,0,'',0,'{"verified":[true,1700000000]}',NULL,1,1701000000,NULL,NULL,NULL);
CREATE TABLE standings (
	"key" TEXT NOT NULL, 
	account TEXT NOT NULL, 
	livemode BOOLEAN NOT NULL, 
	client_reference_id TEXT NOT NULL, 
	purpose TEXT NOT NULL, 
	default_key TEXT, 
	status TEXT NOT NULL, 
	session_id TEXT, 
	since BIGINT, 
	verified_at BIGINT, 
	attempts INTEGER NOT NULL, 
	last_error_code TEXT, 
	next_step TEXT NOT NULL, 
	redaction TEXT, 
	type TEXT, 
	verification_flow TEXT, 
	options TEXT, 
	version BIGINT NOT NULL, 
	attempts_counted INTEGER NOT NULL, 
	attempts_granted INTEGER NOT NULL, 
	verified_until BIGINT, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_standings PRIMARY KEY ("key")
);
INSERT INTO "standings" VALUES('efa131a1c7cc3796e6e2bac66a1a9ebe168460acc0b92eceb60638e73a68da18','',0,'user-1','',NULL,'processing','vs_user-1',1700000000,NULL,0,NULL,'wait',NULL,'document','vf_1','{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}',1701000000,0,0,NULL,1701000000);
INSERT INTO "standings" VALUES('24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6','',0,'user-2','',NULL,'verified','vs_user-2',1700000000,1700000000,0,NULL,'none',NULL,'document','vf_1','{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}',1701000000,0,0,NULL,1701000000);
INSERT INTO "standings" VALUES('9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41','',0,'user-3','',NULL,'requires_input','vs_user-3',1700000000,NULL,1,'document_expired','use_another_document',NULL,'document','vf_1','{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}',1701000000,1,0,NULL,1701000000);
CREATE TABLE timeline (
	id INTEGER NOT NULL, 
	reference_key TEXT, 
	version BIGINT NOT NULL, 
	previous_status TEXT, 
	status TEXT NOT NULL, 
	session_id TEXT, 
	attempts INTEGER NOT NULL, 
	last_error_code TEXT, 
	next_step TEXT NOT NULL, 
	redaction TEXT, 
	cause TEXT NOT NULL, 
	cause_session_id TEXT NOT NULL, 
	event_id TEXT, 
	as_of BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	note TEXT, 
	CONSTRAINT pk_timeline PRIMARY KEY (id), 
	CONSTRAINT fk_timeline_standings FOREIGN KEY(reference_key) REFERENCES standings ("key")
);
INSERT INTO "timeline" VALUES(1,'efa131a1c7cc3796e6e2bac66a1a9ebe168460acc0b92eceb60638e73a68da18',1701000000,NULL,'processing','vs_user-1',0,NULL,'wait',NULL,'processing','vs_user-1','evt_applied',1700000000,1701000000,NULL);
INSERT INTO "timeline" VALUES(2,'24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6',1701000000,NULL,'verified','vs_user-2',0,NULL,'none',NULL,'verified','vs_user-2','evt_done',1700000000,1701000000,NULL);
INSERT INTO "timeline" VALUES(3,'9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41',1701000000,NULL,'requires_input','vs_user-3',1,'document_expired','use_another_document',NULL,'requires_input','vs_user-3','evt_failed',1700000000,1701000000,NULL);
CREATE INDEX ix_events_created ON events (created);
CREATE INDEX ix_sessions_processing ON sessions (livemode, poll_at) WHERE status = 'processing' AND redaction IS NULL AND missing_since IS NULL AND poll_at IS NOT NULL;
CREATE INDEX ix_sessions_redacting ON sessions (livemode, poll_at) WHERE redaction IN ('validated', 'processing') AND missing_since IS NULL AND poll_at IS NOT NULL;
CREATE INDEX ix_sessions_open ON sessions (livemode, poll_at) WHERE status = 'requires_input' AND redaction IS NULL AND missing_since IS NULL AND poll_at IS NOT NULL;
CREATE INDEX ix_sessions_missing ON sessions (livemode, poll_at) WHERE missing_since IS NOT NULL AND poll_at IS NOT NULL;
CREATE INDEX ix_sessions_redaction_since ON sessions (redaction_since) WHERE redaction IN ('validated', 'processing');
CREATE INDEX ix_sessions_orphans ON sessions (livemode, id) WHERE reference_key IS NULL;
CREATE INDEX ix_sessions_redactable ON sessions (livemode, redactable_since) WHERE redactable_since IS NOT NULL AND (redaction_claimed IS NULL OR redaction_claimed <> redactable_since);
CREATE INDEX ix_sessions_account ON sessions (livemode, account) WHERE account <> '';
CREATE INDEX ix_sessions_reference_key ON sessions (reference_key);
CREATE INDEX ix_standings_client_reference_id ON standings (client_reference_id);
CREATE INDEX ix_standings_default_key ON standings (default_key) WHERE default_key IS NOT NULL;
CREATE INDEX ix_standings_verified_until ON standings (verified_until) WHERE verified_until IS NOT NULL;
CREATE INDEX ix_timeline_reference_key_id ON timeline (reference_key, id);
CREATE INDEX ix_timeline_event_id ON timeline (event_id);
CREATE INDEX ix_effects_unsent ON effects (due) WHERE enqueued_at IS NULL AND status = 'pending';
CREATE INDEX ix_effects_enqueued ON effects (enqueued_at) WHERE enqueued_at IS NOT NULL AND status = 'pending';
CREATE INDEX ix_effects_failed ON effects (updated_at) WHERE status = 'failed';
CREATE INDEX ix_effects_ended ON effects (updated_at) WHERE status IN ('done', 'dropped');
CREATE VIEW reference_standings AS
SELECT client_reference_id, account, livemode, status, session_id, since, verified_at, attempts,
       last_error_code, next_step, redaction, type, verification_flow, options, version, purpose,
       attempts_counted, attempts_granted, verified_until
FROM standings
WHERE version > 0;
CREATE INDEX ix_audit_who_id ON audit (who, id);
CREATE INDEX ix_audit_action_id ON audit (action, id);
CREATE INDEX ix_audit_who_action_id ON audit (who, action, id);
CREATE INDEX ix_audit_reference_key ON audit (reference_key) WHERE reference_key <> '';
CREATE INDEX ix_operations_named ON operations (named) WHERE named IS NOT NULL;
CREATE INDEX ix_operations_under_way ON operations (lease_until) WHERE state IN ('running', 'stopping');
CREATE INDEX ix_operations_over ON operations (ended_at) WHERE state IN ('done', 'stopped', 'failed');
COMMIT;
