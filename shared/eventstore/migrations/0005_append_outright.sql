-- append_events as 0002 has it, but for how keys and guards are taken. Nearly always all of them are free: they are
-- inserted outright, which asks each index once. ON CONFLICT asks it twice, writes a second record of each row, and
-- the join that tells which were taken copies every response; now only a batch that met a taken one pays for that,
-- after its rows have been undone with the block they were inserted in. Order of locks and answers are the same.

CREATE OR REPLACE FUNCTION platform.append_events(
    x_grp integer[], x_era integer[], x_stream text[], x_version integer[],
    k_grp integer[], k_organisation text[], k_operation text[], k_key text[], k_digest bytea[],
    k_status integer[], k_response bytea[], k_era integer[], k_stream text[], k_version integer[],
    g_grp integer[], g_kind text[], g_key text[], g_holder text[],
    e_grp integer[], e_id uuid[], e_era integer[], e_stream text[], e_version integer[], e_type text[],
    e_schema integer[], e_data text[], e_metadata text[], e_occurred timestamptz[], e_recorded timestamptz,
    OUT first_position bigint, OUT last_position bigint, OUT lost integer[], OUT taken_guards integer[],
    OUT lock_wait double precision
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before timestamptz;
    taken_keys integer[] := '{}';
    raced integer[];
BEGIN
    lost := '{}';
    taken_guards := '{}';

    IF cardinality(k_key) > 0 OR cardinality(g_key) > 0 THEN
        BEGIN
            INSERT INTO platform.idempotency
            SELECT organisation, operation, key, digest, status, response, era, stream, version
            FROM unnest(k_organisation, k_operation, k_key, k_digest, k_status, k_response,
                        k_era, k_stream, k_version)
                AS w(organisation, operation, key, digest, status, response, era, stream, version)
            ORDER BY organisation COLLATE "C", operation COLLATE "C", key COLLATE "C";
            INSERT INTO platform.guards
            SELECT kind, key, holder FROM unnest(g_kind, g_key, g_holder) AS w(kind, key, holder)
            ORDER BY kind COLLATE "C", key COLLATE "C";
        EXCEPTION WHEN unique_violation THEN
            IF cardinality(k_key) > 0 THEN
                WITH wanted AS (
                    SELECT * FROM unnest(k_organisation, k_operation, k_key, k_digest, k_status, k_response,
                                         k_era, k_stream, k_version)
                        WITH ORDINALITY AS w(organisation, operation, key, digest, status, response,
                                             era, stream, version, ord)
                ), inserted AS (
                    INSERT INTO platform.idempotency
                    SELECT organisation, operation, key, digest, status, response, era, stream, version
                    FROM wanted
                    ORDER BY organisation COLLATE "C", operation COLLATE "C", key COLLATE "C"
                    ON CONFLICT DO NOTHING
                    RETURNING organisation, operation, key
                )
                SELECT coalesce(array_agg(w.ord::integer), '{}') INTO taken_keys
                FROM wanted w LEFT JOIN inserted i USING (organisation, operation, key)
                WHERE i.key IS NULL;
            END IF;

            IF cardinality(g_key) > 0 THEN
                WITH wanted AS (
                    SELECT * FROM unnest(g_kind, g_key, g_holder) WITH ORDINALITY AS w(kind, key, holder, ord)
                ), inserted AS (
                    INSERT INTO platform.guards
                    SELECT kind, key, holder FROM wanted
                    ORDER BY kind COLLATE "C", key COLLATE "C"
                    ON CONFLICT DO NOTHING
                    RETURNING kind, key
                )
                SELECT coalesce(array_agg(w.ord::integer), '{}') INTO taken_guards
                FROM wanted w LEFT JOIN inserted i USING (kind, key)
                WHERE i.key IS NULL;
            END IF;
        END;
    END IF;

    before := clock_timestamp();
    PERFORM platform.append_lock();
    lock_wait := extract(epoch FROM clock_timestamp() - before);

    SELECT coalesce(array_agg(DISTINCT x.grp), '{}') INTO raced
    FROM unnest(x_grp, x_era, x_stream, x_version) AS x(grp, era, stream, version)
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT e.version FROM platform.events e
                         WHERE e.era = x.era AND e.stream = x.stream
                         ORDER BY e.version DESC LIMIT 1), 0) AS version
    ) AS stored
    WHERE stored.version <> x.version;

    IF cardinality(raced) > 0 OR cardinality(taken_keys) > 0 OR cardinality(taken_guards) > 0 THEN
        SELECT coalesce(array_agg(DISTINCT loser), '{}') INTO lost
        FROM (
            SELECT unnest(raced)
            UNION ALL SELECT k_grp[taken] FROM unnest(taken_keys) AS taken
            UNION ALL SELECT g_grp[taken] FROM unnest(taken_guards) AS taken
        ) AS losers(loser);

        DELETE FROM platform.idempotency i
        USING unnest(k_grp, k_organisation, k_operation, k_key)
            WITH ORDINALITY AS w(grp, organisation, operation, key, ord)
        WHERE w.grp = ANY (lost) AND w.ord <> ALL (taken_keys)
            AND i.organisation = w.organisation AND i.operation = w.operation AND i.key = w.key;

        DELETE FROM platform.guards g
        USING unnest(g_grp, g_kind, g_key) WITH ORDINALITY AS w(grp, kind, key, ord)
        WHERE w.grp = ANY (lost) AND w.ord <> ALL (taken_guards)
            AND g.kind = w.kind AND g.key = w.key;
    END IF;

    WITH appended AS (
        INSERT INTO platform.events
            (event_id, era, stream, version, type, schema, data, metadata,
             occurred_at, recorded_at, appended_at)
        SELECT n.id, n.era, n.stream, n.version, n.type, n.schema, n.data::json, n.metadata::json,
               n.occurred, e_recorded, clock_timestamp()
        FROM unnest(e_grp, e_id, e_era, e_stream, e_version, e_type, e_schema, e_data, e_metadata, e_occurred)
            WITH ORDINALITY AS n(grp, id, era, stream, version, type, schema, data, metadata, occurred, ord)
        WHERE n.grp <> ALL (lost)
        ORDER BY n.ord
        RETURNING position
    )
    SELECT min(position), max(position) INTO first_position, last_position FROM appended;
END
$$;
