-- The embedded broker: a partitioned log in a PostgreSQL database of its own.

CREATE SCHEMA IF NOT EXISTS broker;

CREATE TABLE IF NOT EXISTS broker.topics (
    name text PRIMARY KEY,
    partitions integer NOT NULL CHECK (partitions > 0),
    retention_days integer NOT NULL
);

-- The partition's row is the lock under which offsets are drawn: order of offsets is order of commits.
CREATE TABLE IF NOT EXISTS broker.partitions (
    topic text NOT NULL REFERENCES broker.topics,
    part integer NOT NULL,
    first_offset bigint NOT NULL DEFAULT 0,
    next_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, part)
) WITH (fillfactor = 50);

-- What was published at once to a partition lies in one row, offsets (next_offset - count) to next_offset - 1:
-- a row and an index entry per record cost the server more than the records themselves. What is in ``records``
-- the clients agree on (shared/messaging/batches.py): compressed, so the server need not try.
CREATE TABLE IF NOT EXISTS broker.batches (
    topic text NOT NULL,
    part integer NOT NULL,
    next_offset bigint NOT NULL,
    count integer NOT NULL CHECK (count > 0),
    appended_at timestamptz NOT NULL,
    records bytea NOT NULL,
    PRIMARY KEY (topic, part, next_offset)
);
DO $$
BEGIN
    -- Said once: every process prepares, and ALTER would wait for whoever reads or trims, and everybody for it.
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'broker.batches'::regclass AND attname = 'records' AND attstorage <> 'e'
    ) THEN
        ALTER TABLE broker.batches ALTER COLUMN records SET STORAGE EXTERNAL;
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS broker.groups (
    name text PRIMARY KEY,
    generation bigint NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS broker.members (
    grp text NOT NULL REFERENCES broker.groups,
    worker text NOT NULL,
    session uuid NOT NULL,
    topics text[] NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    PRIMARY KEY (grp, worker)
);

-- For lag tools only: services keep their offsets in their own databases.
CREATE TABLE IF NOT EXISTS broker.offsets (
    grp text NOT NULL,
    topic text NOT NULL,
    part integer NOT NULL,
    next_offset bigint NOT NULL,
    committed_at timestamptz NOT NULL,
    PRIMARY KEY (grp, topic, part)
);

-- Append batches, at most one per partition and element of the arrays, in their order; partitions are locked in one
-- order, so that two publishers never wait for each other in a ring. A function, because each statement in it sees
-- what was committed while it waited for the locks.
-- Answers false, having written nothing, when a partition does not exist.
CREATE OR REPLACE FUNCTION broker.append(
    b_topic text[], b_part integer[], b_count integer[], b_records bytea[]
) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    wanted integer;
    found_count integer;
BEGIN
    PERFORM 1 FROM broker.partitions p
    WHERE (p.topic, p.part) IN (SELECT * FROM unnest(b_topic, b_part))
    ORDER BY p.topic, p.part
    FOR UPDATE;
    GET DIAGNOSTICS found_count = ROW_COUNT;
    SELECT count(*) INTO wanted FROM (SELECT DISTINCT * FROM unnest(b_topic, b_part)) AS d;
    IF found_count <> wanted THEN
        RETURN false;
    END IF;

    INSERT INTO broker.batches (topic, part, next_offset, count, appended_at, records)
    SELECT b.topic, b.part,
           p.next_offset + sum(b.count) OVER (PARTITION BY b.topic, b.part ORDER BY b.ord),
           b.count, clock_timestamp(), b.records
    FROM unnest(b_topic, b_part, b_count, b_records) WITH ORDINALITY AS b(topic, part, count, records, ord)
    JOIN broker.partitions p USING (topic, part);

    UPDATE broker.partitions p SET next_offset = p.next_offset + n.count
    FROM (SELECT topic, part, sum(count) AS count
          FROM unnest(b_topic, b_part, b_count) AS u(topic, part, count) GROUP BY 1, 2) AS n
    WHERE p.topic = n.topic AND p.part = n.part;
    PERFORM pg_notify('broker_published', (SELECT string_agg(DISTINCT t, ',') FROM unnest(b_topic) AS t));
    RETURN true;
END
$$;

-- Join, stay in, or learn of a new generation. Removes members that have been silent for too long.
-- Who merely stays locks nobody and waits for no disk: a heartbeat lost with the server is followed by another.
CREATE OR REPLACE FUNCTION broker.heartbeat(
    m_grp text, m_worker text, m_session uuid, m_topics text[], m_patience interval
) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    current_generation bigint;
    gone integer;
    stayed integer;
BEGIN
    IF NOT EXISTS (SELECT FROM broker.members
                   WHERE grp = m_grp AND heartbeat_at < clock_timestamp() - m_patience AND worker <> m_worker) THEN
        UPDATE broker.members SET heartbeat_at = clock_timestamp()
        WHERE grp = m_grp AND worker = m_worker AND session = m_session;
        IF FOUND THEN
            PERFORM set_config('synchronous_commit', 'off', true);
            SELECT generation INTO current_generation FROM broker.groups WHERE name = m_grp;
            RETURN current_generation;
        END IF;
    END IF;
    INSERT INTO broker.groups (name) VALUES (m_grp) ON CONFLICT DO NOTHING;
    SELECT generation INTO current_generation FROM broker.groups WHERE name = m_grp FOR UPDATE;
    DELETE FROM broker.members
    WHERE grp = m_grp AND heartbeat_at < clock_timestamp() - m_patience AND worker <> m_worker;
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE broker.members SET heartbeat_at = clock_timestamp()
    WHERE grp = m_grp AND worker = m_worker AND session = m_session;
    GET DIAGNOSTICS stayed = ROW_COUNT;
    IF stayed = 0 THEN
        INSERT INTO broker.members VALUES (m_grp, m_worker, m_session, m_topics, clock_timestamp())
        ON CONFLICT (grp, worker) DO UPDATE
        SET session = excluded.session, topics = excluded.topics, heartbeat_at = excluded.heartbeat_at;
    END IF;
    IF gone > 0 OR stayed = 0 THEN
        UPDATE broker.groups SET generation = generation + 1 WHERE name = m_grp
        RETURNING generation INTO current_generation;
    END IF;
    RETURN current_generation;
END
$$;

CREATE OR REPLACE FUNCTION broker.leave(m_grp text, m_worker text, m_session uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    gone integer;
BEGIN
    PERFORM 1 FROM broker.groups WHERE name = m_grp FOR UPDATE;
    DELETE FROM broker.members WHERE grp = m_grp AND worker = m_worker AND session = m_session;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN
        UPDATE broker.groups SET generation = generation + 1 WHERE name = m_grp;
    END IF;
END
$$;

-- Retention, whole batches. Never drops what a group that reads the topic has not read, however old it is: on one
-- machine nothing else would give it back. Answers the number of records dropped.
CREATE OR REPLACE FUNCTION broker.trim() RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    dropped bigint;
BEGIN
    WITH limits AS (
        SELECT p.topic, p.part,
               least(
                   coalesce((SELECT min(o.next_offset) FROM broker.offsets o
                             WHERE o.topic = p.topic AND o.part = p.part), p.next_offset),
                   coalesce((SELECT min(b.next_offset - b.count) FROM broker.batches b
                             WHERE b.topic = p.topic AND b.part = p.part
                               AND b.appended_at >= clock_timestamp() - make_interval(days => t.retention_days)),
                            p.next_offset)
               ) AS keep_from
        FROM broker.partitions p JOIN broker.topics t ON t.name = p.topic
    ), removed AS (
        DELETE FROM broker.batches b USING limits l
        WHERE b.topic = l.topic AND b.part = l.part AND b.next_offset <= l.keep_from
        RETURNING b.topic, b.part, b.next_offset, b.count
    ), moved AS (
        UPDATE broker.partitions p SET first_offset = r.until
        FROM (SELECT topic, part, max(next_offset) AS until FROM removed GROUP BY 1, 2) AS r
        WHERE p.topic = r.topic AND p.part = r.part AND p.first_offset < r.until
        RETURNING 1
    )
    SELECT coalesce(sum(count), 0) INTO dropped FROM removed;
    RETURN dropped;
END
$$;
