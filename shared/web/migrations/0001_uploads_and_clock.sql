CREATE TABLE platform.imports (
    import_id text PRIMARY KEY,
    kind text NOT NULL,
    organisation text NOT NULL,
    actor text NOT NULL,
    idempotency_key text NOT NULL,
    digest bytea NOT NULL,
    correlation text NOT NULL,
    context text NOT NULL,
    state text NOT NULL,
    rows_total integer NOT NULL,
    rows_accepted integer NOT NULL,
    rows_refused integer NOT NULL,
    log_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT imports_key UNIQUE (organisation, kind, idempotency_key)
);
CREATE INDEX imports_running ON platform.imports (created_at, import_id) WHERE state = 'RUNNING';

CREATE TABLE platform.import_chunks (
    import_id text NOT NULL,
    chunk integer NOT NULL,
    first_row integer NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (import_id, chunk)
);

CREATE TABLE platform.import_rows (
    import_id text NOT NULL,
    chunk integer NOT NULL,
    last_row integer NOT NULL,
    refused integer NOT NULL,
    outcomes bytea NOT NULL,
    PRIMARY KEY (import_id, chunk)
);

CREATE TABLE platform.business_clock (
    service text PRIMARY KEY,
    day date NOT NULL
);
