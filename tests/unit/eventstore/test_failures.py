"""Whose fault an error of the database is: the server's, a race's, or the command's (architecture §3)."""

from __future__ import annotations

import asyncpg
import pytest

from shared.eventstore.log import Failure
from shared.eventstore.postgres import failure_of


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (asyncpg.DiskFullError("53100"), Failure.CONNECTION),
        (asyncpg.OutOfMemoryError("53200"), Failure.CONNECTION),
        (asyncpg.TooManyConnectionsError("53300"), Failure.CONNECTION),
        (asyncpg.ReadOnlySQLTransactionError("25006"), Failure.CONNECTION),
        (ConnectionResetError(), Failure.CONNECTION),
        (TimeoutError(), Failure.CONNECTION),
        (asyncpg.DeadlockDetectedError("40P01"), Failure.TRANSIENT),
        (asyncpg.LockNotAvailableError("55P03"), Failure.TRANSIENT),
        (asyncpg.QueryCanceledError("57014"), Failure.BUSY),
        (asyncpg.CheckViolationError("23514"), Failure.COMMAND),
        (asyncpg.ProgramLimitExceededError("54000"), Failure.COMMAND),
        (ZeroDivisionError(), Failure.COMMAND),
    ],
)
def test_whose_fault_it_is(error: Exception, failure: Failure) -> None:
    """A full disk or a standby is nobody's command: blamed on one, its fact would become a dead letter."""
    assert failure_of(error) is failure


@pytest.mark.postgres
async def test_a_standby_is_no_commands_fault(database_url: str) -> None:
    """PostgreSQL itself says 25006 when a transaction may only read."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(asyncpg.PostgresError) as raised:
            await connection.execute("CREATE TABLE refused (fen bigint)")
    finally:
        await connection.close()
    assert failure_of(raised.value) is Failure.CONNECTION
