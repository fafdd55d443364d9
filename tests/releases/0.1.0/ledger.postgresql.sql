CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.attempts (
    session_id text NOT NULL,
    account text NOT NULL,
    livemode boolean NOT NULL,
    attempt text NOT NULL,
    at bigint NOT NULL,
    code text NOT NULL,
    entered boolean NOT NULL
);
CREATE TABLE public.audit (
    id bigint NOT NULL,
    at bigint NOT NULL,
    who text NOT NULL,
    via text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    reference_key text,
    reason text NOT NULL,
    result text NOT NULL
);
CREATE SEQUENCE public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;
CREATE TABLE public.cursors (
    name text NOT NULL,
    value text NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE public.effects (
    id text NOT NULL,
    kind text NOT NULL,
    account text NOT NULL,
    livemode boolean NOT NULL,
    session_id text NOT NULL,
    reference_key text,
    version bigint,
    due bigint NOT NULL,
    status text NOT NULL,
    created_at bigint NOT NULL,
    enqueued_at bigint,
    updated_at bigint NOT NULL
);
CREATE TABLE public.events (
    id text NOT NULL,
    name text NOT NULL,
    created bigint NOT NULL,
    account text NOT NULL,
    livemode boolean NOT NULL,
    session_id text NOT NULL,
    applied_at bigint NOT NULL
);
CREATE TABLE public.notifications (
    reference_key text NOT NULL,
    receiver text NOT NULL,
    version bigint NOT NULL,
    status text NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE public.operations (
    id text NOT NULL,
    kind text NOT NULL,
    queue text NOT NULL,
    selection text NOT NULL,
    named text,
    pinned text NOT NULL,
    reason text NOT NULL,
    rate double precision,
    who text NOT NULL,
    via text NOT NULL,
    state text NOT NULL,
    note text NOT NULL,
    total bigint NOT NULL,
    done bigint NOT NULL,
    failed bigint NOT NULL,
    gone bigint NOT NULL,
    "position" double precision,
    chunk_end double precision,
    chunk_size bigint NOT NULL,
    holder text NOT NULL,
    lease_until bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    ended_at bigint
);
CREATE TABLE public.standings (
    key text NOT NULL,
    account text NOT NULL,
    livemode boolean NOT NULL,
    client_reference_id text NOT NULL,
    purpose text NOT NULL,
    default_key text,
    status text NOT NULL,
    session_id text,
    since bigint,
    verified_at bigint,
    attempts integer NOT NULL,
    last_error_code text,
    next_step text NOT NULL,
    redaction text,
    type text,
    verification_flow text,
    options text,
    version bigint NOT NULL,
    attempts_counted integer NOT NULL,
    attempts_granted integer NOT NULL,
    verified_until bigint,
    updated_at bigint NOT NULL
)
WITH (fillfactor='60');
CREATE VIEW public.reference_standings AS
 SELECT client_reference_id,
    account,
    livemode,
    status,
    session_id,
    since,
    verified_at,
    attempts,
    last_error_code,
    next_step,
    redaction,
    type,
    verification_flow,
    options,
    version,
    purpose,
    attempts_counted,
    attempts_granted,
    verified_until
   FROM public.standings
  WHERE (version > 0);
CREATE TABLE public.schema_compatibility (
    revision text NOT NULL,
    compatible_since text NOT NULL
);
CREATE TABLE public.sessions (
    id text NOT NULL,
    account text NOT NULL,
    livemode boolean NOT NULL,
    created bigint NOT NULL,
    type text,
    verification_flow text,
    options text,
    status text NOT NULL,
    last_error_code text,
    report text,
    as_of bigint NOT NULL,
    event_id text NOT NULL,
    redaction text,
    redaction_since bigint,
    redactable_since bigint,
    reference text,
    reference_source integer NOT NULL,
    reference_as_of bigint NOT NULL,
    purpose text NOT NULL,
    purpose_as_of bigint NOT NULL,
    since text NOT NULL,
    reference_key text,
    observations bigint NOT NULL,
    updated_at bigint NOT NULL,
    poll_at bigint,
    missing_since bigint,
    redaction_claimed bigint
)
WITH (fillfactor='60');
CREATE TABLE public.timeline (
    id bigint NOT NULL,
    reference_key text,
    version bigint NOT NULL,
    previous_status text,
    status text NOT NULL,
    session_id text,
    attempts integer NOT NULL,
    last_error_code text,
    next_step text NOT NULL,
    redaction text,
    cause text NOT NULL,
    cause_session_id text NOT NULL,
    event_id text,
    as_of bigint NOT NULL,
    at bigint NOT NULL,
    note text
);
CREATE SEQUENCE public.timeline_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.timeline_id_seq OWNED BY public.timeline.id;
ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);
ALTER TABLE ONLY public.timeline ALTER COLUMN id SET DEFAULT nextval('public.timeline_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0004');
INSERT INTO public.attempts VALUES ('vs_user-3', '', false, 'at-1700000000', 1700000000, 'document_expired', true);
INSERT INTO public.audit VALUES (1, 1700000000, 'anna', 'cli', 'allow_attempt', '{}', '9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41', '', 'done');
INSERT INTO public.cursors VALUES ('counted', '1', 1700000000);
INSERT INTO public.effects VALUES ('evt_applied-recheck', 'recheck', '', false, 'vs_user-1', NULL, 1701000000, 1701000900, 'pending', 1701000000, NULL, 1701000000);
INSERT INTO public.events VALUES ('evt_applied', 'processing', 1700000000, '', false, 'vs_user-1', 1701000000);
INSERT INTO public.events VALUES ('evt_done', 'verified', 1700000000, '', false, 'vs_user-2', 1701000000);
INSERT INTO public.events VALUES ('evt_failed', 'requires_input', 1700000000, '', false, 'vs_user-3', 1701000000);
INSERT INTO public.events VALUES ('evt_orphan', 'verified', 1700000000, '', false, 'vs_evt_orphan', 1701000000);
INSERT INTO public.notifications VALUES ('24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6', 'notify_callback', 1701000000, 'verified', 1700000000);
INSERT INTO public.operations VALUES ('op_00000001ab', 'replay', 'events', '{"reference": "user-2"}', 'd92b69cfb82cecab45c753f56002b2c0e6d01f132fe39f2c878858dc9528e10b', '1_2.0_5_abc', 'the ledger was away', NULL, 'anna', 'cli', 'running', '', 5, 0, 0, 0, NULL, NULL, 0, '', 0, 1700000000, 1700000000, NULL);
INSERT INTO public.schema_compatibility VALUES ('0004', '0001');
INSERT INTO public.sessions VALUES ('vs_user-1', '', false, 1700000000, 'document', 'vf_1', '{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}', 'processing', NULL, NULL, 1700000000, 'evt_applied', NULL, NULL, NULL, 'user-1', 2, 1700000000, '', 0, '{"processing":[true,1700000000]}', 'efa131a1c7cc3796e6e2bac66a1a9ebe168460acc0b92eceb60638e73a68da18', 1, 1701000000, 1701843200, NULL, NULL);
INSERT INTO public.sessions VALUES ('vs_user-2', '', false, 1700000000, 'document', 'vf_1', '{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}', 'verified', NULL, NULL, 1700000000, 'evt_done', NULL, NULL, 1700000000, 'user-2', 2, 1700000000, '', 0, '{"verified":[true,1700000000]}', '24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6', 1, 1701000000, NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('vs_user-3', '', false, 1700000000, 'document', 'vf_1', '{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}', 'requires_input', 'document_expired', NULL, 1700000000, 'evt_failed', NULL, NULL, 1700000000, 'user-3', 2, 1700000000, '', 0, '{"requires_input":[true,1700000000]}', '9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41', 1, 1701000000, 1701382400, NULL, NULL);
INSERT INTO public.sessions VALUES ('vs_evt_orphan', '', false, 1700000000, 'document', 'vf_1', '{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}', 'verified', NULL, NULL, 1700000000, 'evt_orphan', NULL, NULL, 1700000000, NULL, 0, 0, '', 0, '{"verified":[true,1700000000]}', NULL, 1, 1701000000, NULL, NULL, NULL);
INSERT INTO public.standings VALUES ('efa131a1c7cc3796e6e2bac66a1a9ebe168460acc0b92eceb60638e73a68da18', '', false, 'user-1', '', NULL, 'processing', 'vs_user-1', 1700000000, NULL, 0, NULL, 'wait', NULL, 'document', 'vf_1', '{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}', 1701000000, 0, 0, NULL, 1701000000);
INSERT INTO public.standings VALUES ('24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6', '', false, 'user-2', '', NULL, 'verified', 'vs_user-2', 1700000000, 1700000000, 0, NULL, 'none', NULL, 'document', 'vf_1', '{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}', 1701000000, 0, 0, NULL, 1701000000);
INSERT INTO public.standings VALUES ('9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41', '', false, 'user-3', '', NULL, 'requires_input', 'vs_user-3', 1700000000, NULL, 1, 'document_expired', 'use_another_document', NULL, 'document', 'vf_1', '{"document":{"allowed_types":["passport"],"require_matching_selfie":true}}', 1701000000, 1, 0, NULL, 1701000000);
INSERT INTO public.timeline VALUES (1, 'efa131a1c7cc3796e6e2bac66a1a9ebe168460acc0b92eceb60638e73a68da18', 1701000000, NULL, 'processing', 'vs_user-1', 0, NULL, 'wait', NULL, 'processing', 'vs_user-1', 'evt_applied', 1700000000, 1701000000, NULL);
INSERT INTO public.timeline VALUES (2, '24a29138814fe8814e18e0beacbf982319b4de8aa9c25ddef05c4db2310a4ca6', 1701000000, NULL, 'verified', 'vs_user-2', 0, NULL, 'none', NULL, 'verified', 'vs_user-2', 'evt_done', 1700000000, 1701000000, NULL);
INSERT INTO public.timeline VALUES (3, '9aade527c1226ad7edf1487343e04961983698dd3f75553fc3aece3acbe1da41', 1701000000, NULL, 'requires_input', 'vs_user-3', 1, 'document_expired', 'use_another_document', NULL, 'requires_input', 'vs_user-3', 'evt_failed', 1700000000, 1701000000, NULL);
SELECT pg_catalog.setval('public.audit_id_seq', 1, true);
SELECT pg_catalog.setval('public.timeline_id_seq', 3, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT pk_attempts PRIMARY KEY (session_id, account, livemode, attempt);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (id);
ALTER TABLE ONLY public.cursors
    ADD CONSTRAINT pk_cursors PRIMARY KEY (name);
ALTER TABLE ONLY public.effects
    ADD CONSTRAINT pk_effects PRIMARY KEY (id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (id);
ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT pk_notifications PRIMARY KEY (reference_key, receiver);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT pk_operations PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_compatibility
    ADD CONSTRAINT pk_schema_compatibility PRIMARY KEY (revision);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT pk_sessions PRIMARY KEY (id, account, livemode);
ALTER TABLE ONLY public.standings
    ADD CONSTRAINT pk_standings PRIMARY KEY (key);
ALTER TABLE ONLY public.timeline
    ADD CONSTRAINT pk_timeline PRIMARY KEY (id);
CREATE INDEX ix_audit_action_id ON public.audit USING btree (action, id);
CREATE INDEX ix_audit_reference_key ON public.audit USING btree (reference_key) WHERE (reference_key <> ''::text);
CREATE INDEX ix_audit_who_action_id ON public.audit USING btree (who, action, id);
CREATE INDEX ix_audit_who_id ON public.audit USING btree (who, id);
CREATE INDEX ix_effects_ended ON public.effects USING btree (updated_at) WHERE (status = ANY (ARRAY['done'::text, 'dropped'::text]));
CREATE INDEX ix_effects_enqueued ON public.effects USING btree (enqueued_at) WHERE ((enqueued_at IS NOT NULL) AND (status = 'pending'::text));
CREATE INDEX ix_effects_failed ON public.effects USING btree (updated_at) WHERE (status = 'failed'::text);
CREATE INDEX ix_effects_unsent ON public.effects USING btree (due) WHERE ((enqueued_at IS NULL) AND (status = 'pending'::text));
CREATE INDEX ix_events_created ON public.events USING btree (created);
CREATE INDEX ix_operations_named ON public.operations USING btree (named) WHERE (named IS NOT NULL);
CREATE INDEX ix_operations_over ON public.operations USING btree (ended_at) WHERE (state = ANY (ARRAY['done'::text, 'stopped'::text, 'failed'::text]));
CREATE INDEX ix_operations_under_way ON public.operations USING btree (lease_until) WHERE (state = ANY (ARRAY['running'::text, 'stopping'::text]));
CREATE INDEX ix_sessions_account ON public.sessions USING btree (livemode, account) WHERE (account <> ''::text);
CREATE INDEX ix_sessions_missing ON public.sessions USING btree (livemode, poll_at) WHERE ((missing_since IS NOT NULL) AND (poll_at IS NOT NULL));
CREATE INDEX ix_sessions_open ON public.sessions USING btree (livemode, poll_at) WHERE ((status = 'requires_input'::text) AND (redaction IS NULL) AND (missing_since IS NULL) AND (poll_at IS NOT NULL));
CREATE INDEX ix_sessions_orphans ON public.sessions USING btree (livemode, id) WHERE (reference_key IS NULL);
CREATE INDEX ix_sessions_processing ON public.sessions USING btree (livemode, poll_at) WHERE ((status = 'processing'::text) AND (redaction IS NULL) AND (missing_since IS NULL) AND (poll_at IS NOT NULL));
CREATE INDEX ix_sessions_redactable ON public.sessions USING btree (livemode, redactable_since) WHERE ((redactable_since IS NOT NULL) AND ((redaction_claimed IS NULL) OR (redaction_claimed <> redactable_since)));
CREATE INDEX ix_sessions_redacting ON public.sessions USING btree (livemode, poll_at) WHERE ((redaction = ANY (ARRAY['validated'::text, 'processing'::text])) AND (missing_since IS NULL) AND (poll_at IS NOT NULL));
CREATE INDEX ix_sessions_redaction_since ON public.sessions USING btree (redaction_since) WHERE (redaction = ANY (ARRAY['validated'::text, 'processing'::text]));
CREATE INDEX ix_sessions_reference_key ON public.sessions USING btree (reference_key);
CREATE INDEX ix_standings_client_reference_id ON public.standings USING hash (client_reference_id);
CREATE INDEX ix_standings_default_key ON public.standings USING btree (default_key) WHERE (default_key IS NOT NULL);
CREATE INDEX ix_standings_verified_until ON public.standings USING btree (verified_until) WHERE (verified_until IS NOT NULL);
CREATE INDEX ix_timeline_event_id ON public.timeline USING btree (event_id);
CREATE INDEX ix_timeline_reference_key_id ON public.timeline USING btree (reference_key, id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT fk_attempts_sessions FOREIGN KEY (session_id, account, livemode) REFERENCES public.sessions(id, account, livemode);
ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT fk_notifications_standings FOREIGN KEY (reference_key) REFERENCES public.standings(key);
ALTER TABLE ONLY public.timeline
    ADD CONSTRAINT fk_timeline_standings FOREIGN KEY (reference_key) REFERENCES public.standings(key);
