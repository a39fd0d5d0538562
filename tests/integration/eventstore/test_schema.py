"""Migrations, rights and query plans of schema ``platform``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from shared.eventstore import tables
from shared.eventstore.commands import Done, Page
from shared.eventstore.identity import claim_identity
from shared.eventstore.migrate import (
    EditedMigrationError,
    Migration,
    UnknownMigrationError,
    migrate,
    platform_migrations,
)
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import (
    LOAD_SQL,
    STORED_PAGE_BYTES,
    TAIL_OF_TYPES_SQL,
    TAIL_SQL,
    PostgresLog,
)
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from tests.contract.eventstore.sample import TYPES, pay

pytestmark = pytest.mark.postgres


class TestMigrations:
    async def test_each_is_applied_once(self, database_url: str) -> None:
        names = [migration.name for migration in platform_migrations()]
        first, second = await asyncio.gather(migrate(database_url), migrate(database_url))
        assert sorted([first, second]) == [[], names]

    async def test_an_edited_one_is_found_out(self, database_url: str) -> None:
        await migrate(database_url, line="x", migrations=[Migration("0001.sql", "SELECT 1")])
        with pytest.raises(EditedMigrationError):
            await migrate(database_url, line="x", migrations=[Migration("0001.sql", "SELECT 2")])

    async def test_a_database_of_a_newer_program_is_refused(self, database_url: str) -> None:
        await migrate(database_url, line="x", migrations=[Migration("0001.sql", "SELECT 1")])
        with pytest.raises(UnknownMigrationError):
            await migrate(database_url, line="x", migrations=[])

    async def test_a_failing_one_leaves_nothing(self, database_url: str) -> None:
        bad = Migration("0001.sql", "CREATE TABLE platform.half (id int); SELECT 1 / 0")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(database_url, line="x", migrations=[bad])
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT to_regclass('platform.half')") is None
        await connection.close()

    async def test_the_tables_are_those_sqlalchemy_knows(self, url: str) -> None:
        """Otherwise the memory adapter would test another schema than the one in production."""
        database = PostgresDatabase(url)
        known = {"events", "idempotency", "guards"} | {table.name for table in tables.metadata.sorted_tables}

        def differences(connection: sa.Connection) -> list[Any]:
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_schemas": True,
                    "include_name": lambda name, kind, parents: (
                        name == "platform" if kind == "schema" else kind != "table" or name in known
                    ),
                },
            )
            return list(compare_metadata(context, [tables.metadata, tables.log_metadata]))

        async with database._engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await database.close()


class TestRights:
    async def test_the_services_role_appends_through_the_functions_only(
        self, postgres: Any, database_factory: Callable[..., str]
    ) -> None:
        await postgres.create_role("eventstore_service", "secret")
        owner_url = database_factory()
        await migrate(owner_url, service_role="eventstore_service")
        name = owner_url.rpartition("/")[2]
        url = postgres.url(name, role="eventstore_service", password="secret")
        database = PostgresDatabase(url)
        log = PostgresLog(database, TYPES)
        store = Writer(log=log, clock=WallClock(), runtime=SystemRuntime(), types=TYPES)
        await store.start()
        assert isinstance(await store.execute(pay("a", receipt="r")), Done)
        await store.stop()
        identity = await claim_identity(database, "sample-370406")
        assert identity == await claim_identity(database, "sample-370406")
        assert identity.timeline.count("/") == 1
        await database.close()

        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE shadow.replayed (id int); DROP TABLE shadow.replayed")
        for forbidden in (
            (
                "INSERT INTO platform.events (event_id, era, stream, version, type, schema, data, metadata,"
                " occurred_at, recorded_at, appended_at)"
                " SELECT event_id, era, stream, 2, type, schema, data, metadata, occurred_at, recorded_at,"
                " appended_at FROM platform.events"
            ),
            "UPDATE platform.events SET version = 2",
            "DELETE FROM platform.events",
            "TRUNCATE platform.events",
            "INSERT INTO platform.guards VALUES ('receipt', 'x', 'y')",
            "DELETE FROM platform.guards",
            "DELETE FROM platform.idempotency",
            "SELECT nextval('platform.events_position_seq')",
            "CREATE TABLE platform.own (id int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
        await connection.close()

    async def test_the_readers_role_sees_no_private_data(
        self, postgres: Any, database_factory: Callable[..., str]
    ) -> None:
        await postgres.create_role("eventstore_reader", "secret")
        owner_url = database_factory()
        await migrate(owner_url, reader_role="eventstore_reader")
        url = postgres.url(owner_url.rpartition("/")[2], role="eventstore_reader", password="secret")
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT count(*) FROM platform.events") == 0
        for forbidden in ("SELECT * FROM platform.private", "DELETE FROM platform.checkpoints"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
        await connection.close()


class TestPlans:
    async def test_tail_and_load_use_their_indexes(self, url: str) -> None:
        """Given 20,000 events, a page of the tail and a load of 64 streams never scan the table."""
        connection = await asyncpg.connect(url)
        await connection.execute(
            "INSERT INTO platform.events (event_id, era, stream, version, type, schema, data, metadata,"
            " occurred_at, recorded_at, appended_at)"
            " SELECT gen_random_uuid(), 2020, 'purse:' || n, 1, 'Paid', 1, '{\"fen\":1}', '{}', now(), now(),"
            " now() FROM generate_series(1, 20000) n"
        )
        await connection.execute("ANALYZE platform.events")

        async def nodes(sql: str, *arguments: Any) -> set[tuple[str, str]]:
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments))
            found: set[tuple[str, str]] = set()

            def walk(node: dict[str, Any]) -> None:
                found.add((node["Node Type"], node.get("Index Name") or node.get("Relation Name", "")))
                for child in node.get("Plans", ()):
                    walk(child)

            walk(plan[0]["Plan"])
            return found

        last = 2**63 - 1
        for tail in (
            await nodes(TAIL_SQL, 5, 1000, last),
            await nodes(TAIL_OF_TYPES_SQL, 5, 1000, last, ["Paid"], STORED_PAGE_BYTES),
        ):
            assert ("Index Scan", "events_pkey") in tail
            assert ("Seq Scan", "events") not in tail
        streams = [f"purse:{n}" for n in range(64)]
        eras = "{" + ",".join(["2020"] * 64) + "}"
        keys = ["|".join(["-", *column]) for column in (["o"] * 64, ["p"] * 64, streams)]
        load = await nodes(LOAD_SQL, eras, "|".join(streams), *keys, "|")
        assert ("Index Scan", "events_stream") in load
        assert not {node for node in load if node[0] == "Seq Scan"}
        await connection.close()

    async def test_what_writes_plans_probes_of_an_empty_table_too(self, url: str) -> None:
        """Given a log in which nothing stands yet, when a session that writes plans for any values, then the
        plan it keeps asks the index: reading the table would be cheaper only until it has grown."""
        database = PostgresDatabase(url)
        async with database.begin() as connection:
            driver = connection.driver
            for name, kind, sql, arguments in (
                ("loaded", "text", STREAM_OF_ONE, "'purse:1'"),
                ("amended", "text[], bigint[]", MOVED, "'{a,b}', '{1,2}'"),
            ):
                await driver.execute(f"PREPARE {name}({kind}) AS {sql}")
                plan = str(
                    await driver.fetchval(f"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE {name}({arguments})")
                )
                assert "Seq Scan" not in plan
                assert "Index" in plan
                assert "$1" in plan, f"planned for these values: {plan}"
        await database.close()


class TestDurability:
    async def test_a_page_with_a_commit_of_its_own_is_durable_and_bounded(self, url: str) -> None:
        """synchronous_commit and the timeouts are set on every connection of the service."""
        database = PostgresDatabase(url)
        async with database.connect() as connection:
            for name, expected in {
                "synchronous_commit": "on",
                "idle_in_transaction_session_timeout": "10s",
                "statement_timeout": "30s",
                "default_transaction_isolation": "read committed",
            }.items():
                assert await connection.driver.fetchval(f"SHOW {name}") == expected
        log = PostgresLog(database, TYPES)
        store = Writer(log=log, clock=WallClock(), runtime=SystemRuntime(), types=TYPES)
        await store.start()
        await store.execute_page(Page([pay("a")]))
        assert await log.lag_seconds(0) >= 0
        assert await log.lag_seconds(1) == 0
        assert dict(await log.census()) == {"Paid": 1}
        assert [each.position for each in await log.find(frozenset({"Paid"}), 0, 5)] == [1]
        await store.stop()
        await database.close()


STREAM_OF_ONE = "SELECT version FROM platform.events WHERE era = 2020 AND stream = $1 ORDER BY version"
MOVED = (
    "UPDATE platform.checkpoints AS held SET position = new.position"
    " FROM unnest($1, $2) AS new(name, position) WHERE held.name = new.name"
)
