"""Read model of open tasks, gathered from the other capabilities' facts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.accounts.events import BookkeepingMismatchDetected, ReturnTotalsDiffered
from services.registration.enrolment.events import (
    CoverageConflictFound,
    EnrolmentCancelled,
    RegistrationInfoRejected,
)
from services.registration.entitlements.events import (
    MedicalEntitlementGranted,
    MedicalEntitlementUndetermined,
)
from services.registration.tasks.events import TaskClosed
from services.registration.vital.events import (
    DeathBatchReceived,
    DeathDateDisputed,
    DeathReportCorrected,
    DeathReportOverdue,
)
from shared.contracts.collection import RegistrationInfoAcceptedV1, RegistrationLinkedV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

TASK = sa.Table(
    "task",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("division", sa.Text, nullable=False, comment="empty: of no village"),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, comment="record, return or month it is about"),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="OPEN or CLOSED"),
    sa.Column("finding", sa.Text, nullable=False),
    sa.Index("task_by_state", "state", "task_id"),
)


class TasksProjection:
    """待办: opened by what went wrong, closed by what put it right or by a clerk."""

    name = "tasks"
    tables: Sequence[sa.Table] = (TASK,)
    handles: tuple[type[msgspec.Struct], ...] = (
        DeathDateDisputed,
        DeathReportOverdue,
        RegistrationInfoRejected,
        CoverageConflictFound,
        BookkeepingMismatchDetected,
        ReturnTotalsDiffered,
        MedicalEntitlementUndetermined,
        DeathBatchReceived,
        DeathReportCorrected,
        RegistrationInfoAcceptedV1,
        RegistrationLinkedV1,
        EnrolmentCancelled,
        MedicalEntitlementGranted,
        TaskClosed,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """In order; a task that was closed and happens again opens again.

        Most events settle tasks nobody opened: their closings are held back and written together.
        """
        closing: list[tuple[str, str]] = []
        for recorded in events:
            opened = _opened(recorded.event)
            if opened is None:
                closing += _closed(recorded.event)
                continue
            await _close(connection, closing)
            closing = []
            row = _row(*opened, opened_on=recorded.recorded_at.date())
            await connection.upsert(TASK, [row], keep=("opened_on",))
        await _close(connection, closing)


async def _close(connection: Connection, closing: Sequence[tuple[str, str]]) -> None:
    """Close the open ones of (task id, finding), after one look at what is open of their kinds."""
    kinds = sorted({task_id.partition(":")[0] for task_id, _ in closing})
    if not kinds:
        return
    rows = await connection.execute(
        sa.select(TASK.c.task_id).where(TASK.c.state == "OPEN", TASK.c.kind.in_(kinds))
    )
    known = {row.task_id for row in rows}
    for task_id, finding in closing:
        if task_id in known:
            known.discard(task_id)
            await connection.execute(
                sa.update(TASK).where(TASK.c.task_id == task_id).values(state="CLOSED", finding=finding)
            )


_Opened = tuple[str, str, str, str, str]


def _opened(event: Any) -> _Opened | None:
    """(kind, division, person, subject, rule) of a task the event opens."""
    match event:
        case DeathDateDisputed():
            return "DEATH_DATE_DISPUTED", event.division, event.person_id, event.person_id, event.source
        case DeathReportOverdue():
            return "DEATH_REPORT_OVERDUE", "", "", f"{event.source}:{event.month}", "DUE_ON_THE_5TH"
        case RegistrationInfoRejected():
            return "REGISTRATION_RETURNED", event.division, event.person_id, event.record_no, event.error
        case CoverageConflictFound():
            return "COVERAGE_CONFLICT", event.division, event.person_id, event.record_no, "I-05"
        case BookkeepingMismatchDetected():
            subject = f"{event.return_no}:{event.line_no}"
            return "BOOKKEEPING_MISMATCH", event.village, event.person_id, subject, event.field.upper()
        case ReturnTotalsDiffered():
            return "RETURN_TOTALS_DIFFER", "", "", event.return_no, "I-24"
        case MedicalEntitlementUndetermined():
            subject = f"{event.year}:{event.person_id}"
            rule = event.rule or event.code
            return "ENTITLEMENT_UNDETERMINED", event.village, event.person_id, subject, rule
        case _:
            return None


def _closed(event: Any) -> list[tuple[str, str]]:
    """(task id, finding) of tasks the event settles."""
    match event:
        case DeathBatchReceived():
            return [(f"DEATH_REPORT_OVERDUE:{event.source}:{event.month}", "RECEIVED")]
        case DeathReportCorrected():
            return [] if event.disputed else [(f"DEATH_DATE_DISPUTED:{event.person_id}", "CORRECTED")]
        case RegistrationInfoAcceptedV1() | RegistrationLinkedV1():
            return [(f"REGISTRATION_RETURNED:{event.record_no}", "ACCEPTED")]
        case EnrolmentCancelled():
            return [
                (f"COVERAGE_CONFLICT:{event.record_no}", "CANCELLED"),
                (f"REGISTRATION_RETURNED:{event.record_no}", "CANCELLED"),
            ]
        case MedicalEntitlementGranted():
            return [(f"ENTITLEMENT_UNDETERMINED:{event.year}:{event.person_id}", "GRANTED")]
        case TaskClosed():
            return [(event.task_id, event.finding)]
        case _:
            return []


def _row(
    kind: str, division: str, person_id: str, subject: str, rule: str, opened_on: dt.date
) -> dict[str, Any]:
    return {
        "task_id": f"{kind}:{subject}",
        "kind": kind,
        "division": division,
        "person_id": person_id,
        "subject": subject,
        "rule": rule,
        "opened_on": opened_on,
        "state": "OPEN",
        "finding": "",
    }
