"""任务分配表: sums and arithmetic (I-02), and the fault that checks report."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shared.policy.model import TaskRow, TaskTable


class PackFault(msgspec.Struct, frozen=True):
    """One fault: stable code, where in the document, what is wrong (no personal data)."""

    code: str
    path: str
    message: str


class TaskTotals(msgspec.Struct, frozen=True):
    """Column sums of a task table; None for a column the table has not. 万元 and 元 stay apart."""

    rows: int
    units: int | None
    pension_persons: int | None
    pension_amount_wan_yuan: int | None
    medical_persons: int
    medical_amount_yuan: int | None


def task_totals(table: TaskTable) -> TaskTotals:
    """Column sums over the rows; where no total is printed they are derived (D-20)."""
    return TaskTotals(
        rows=len(table.rows),
        units=_column(table, "units"),
        pension_persons=_column(table, "pension_persons"),
        pension_amount_wan_yuan=_column(table, "pension_amount_wan_yuan"),
        medical_persons=sum(row.medical_persons for row in table.rows),
        medical_amount_yuan=_column(table, "medical_amount_yuan"),
    )


def _column(table: TaskTable, field: str) -> int | None:
    values = [getattr(row, field) for row in table.rows]
    return None if any(value is None for value in values) else sum(values)


def task_table_faults(table: TaskTable | None, personal_yuan: int | None) -> list[PackFault]:
    """I-02: amount = persons × standard where everyone counts; Σ rows = stated total."""
    if table is None:
        return []
    rows = table.rows if table.total is None else (*table.rows, table.total)
    faults = [fault for row in rows for fault in _row_faults(table, row, personal_yuan)]
    if len({row.name for row in table.rows}) != len(table.rows):
        faults.append(PackFault("I-02", "task_table.rows", "a name is given twice"))
    if table.total is not None:
        sums = task_totals(table)
        for field in TaskTotals.__struct_fields__[1:]:
            stated, summed = getattr(table.total, field), getattr(sums, field)
            if stated != summed:
                faults.append(
                    PackFault("I-02", f"task_table.total.{field}", f"{stated} stated, {summed} summed")
                )
    return faults


def _row_faults(table: TaskTable, row: TaskRow, personal_yuan: int | None) -> Iterator[PackFault]:
    if table.scope != "ALL" or row.medical_amount_yuan is None or personal_yuan is None:
        return
    expected = row.medical_persons * personal_yuan
    if row.medical_amount_yuan != expected:
        yield PackFault(
            "I-02",
            f"task_table.{row.name}",
            f"{row.medical_amount_yuan} is not {row.medical_persons} × {personal_yuan}",
        )
