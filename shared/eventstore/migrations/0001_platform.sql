-- Schema platform: the log and what must commit with it. Owned by the migrating role.

CREATE TABLE platform.events (
    position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    event_id uuid NOT NULL,
    era integer NOT NULL,
    stream text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    type text NOT NULL,
    schema integer NOT NULL,
    data json NOT NULL,      -- json, not jsonb: the bytes must survive for hashing
    metadata json NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    appended_at timestamptz NOT NULL,
    CONSTRAINT events_stream UNIQUE (era, stream, version)
);

CREATE TABLE platform.idempotency (
    organisation text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    status integer NOT NULL,
    response bytea NOT NULL,
    era integer,
    stream text,
    version integer,
    PRIMARY KEY (organisation, operation, key)
);

CREATE TABLE platform.guards (
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    holder text NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE TABLE platform.checkpoints (
    name text PRIMARY KEY,
    position bigint NOT NULL,
    step integer NOT NULL
);

CREATE TABLE platform.offsets (
    grp text NOT NULL,
    topic text NOT NULL,
    part integer NOT NULL,
    next_offset bigint NOT NULL,
    owner uuid,
    PRIMARY KEY (grp, topic, part)
);

CREATE TABLE platform.watermarks (
    grp text NOT NULL,
    topic text NOT NULL,
    part integer NOT NULL,
    source_log text NOT NULL,
    epoch integer NOT NULL,
    source_position bigint NOT NULL,
    PRIMARY KEY (grp, topic, part, source_log, epoch)
);

CREATE TABLE platform.dead_letters (
    id text PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    key text NOT NULL,
    part integer NOT NULL,
    position bigint NOT NULL,
    code text NOT NULL,
    payload bytea,
    fixed bytea,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolved_by text NOT NULL
);
CREATE INDEX dead_letters_open ON platform.dead_letters (kind, name, key, state);

CREATE TABLE platform.parked (
    kind text NOT NULL,
    name text NOT NULL,
    part integer NOT NULL,
    position bigint NOT NULL,
    key text NOT NULL,
    payload bytea,
    reason text NOT NULL,
    deadline date,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (kind, name, part, position)
);
CREATE INDEX parked_by_key ON platform.parked (kind, name, key, position);

CREATE TABLE platform.private (
    person_id text PRIMARY KEY,
    kid text NOT NULL,
    wrapped_key bytea NOT NULL,
    nonce bytea NOT NULL,
    ciphertext bytea NOT NULL
);

CREATE TABLE platform.log_identity (
    log text PRIMARY KEY,
    epoch integer NOT NULL,
    timeline text NOT NULL
);
