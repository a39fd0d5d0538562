"""Read models of registration as of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every read model."""
    op.create_table(
        "account_entry",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False, comment="negative when taken back"),
        sa.Column("credited_on", sa.Date(), nullable=False),
        sa.Column("interest_from", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("person_id", "position"),
    )
    op.create_table(
        "booking_total",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("mismatched_lines", sa.BigInteger(), nullable=False),
        sa.Column("mismatched_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "village", "insurance", "date"),
    )
    op.create_table(
        "cover_elsewhere",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "insurance", "year"),
    )
    op.create_table(
        "employee_spell",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=False),
        sa.Column("to_date", sa.Date(), nullable=True, comment="null while it lasts"),
        sa.PrimaryKeyConstraint("person_id", "insurance", "from_date"),
    )
    op.create_table(
        "death_report",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=True, comment="null: withdrawn"),
        sa.Column("batch_month", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "source"),
    )
    op.create_table(
        "enrolment",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("record_no", sa.Text(), server_default="", nullable=False),
        sa.Column("campaign", sa.Text(), server_default="", nullable=False),
        sa.Column("division", sa.Text(), server_default="", nullable=False),
        sa.Column("route", sa.Text(), server_default="", nullable=False),
        sa.Column("period_from", sa.Date(), nullable=True),
        sa.Column("period_to", sa.Date(), nullable=True),
        sa.Column(
            "state",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="by our own events; empty: none of them is known yet",
        ),
        sa.Column("record_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "rule", sa.Text(), server_default="", nullable=False, comment="why it was rejected or cancelled"
        ),
        sa.Column("accepted_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("returned_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "error", sa.Text(), server_default="", nullable=False, comment="why collection sent it back"
        ),
        sa.Column("linked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "insurance", "year"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("enrolment_by_division", "enrolment", ["year", "division"], unique=False)
    op.create_table(
        "entitlement",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="GRANTED, WITHDRAWN or UNDETERMINED"),
        sa.Column("from_date", sa.Date(), nullable=True),
        sa.Column("to_date", sa.Date(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "year"),
    )
    op.create_table(
        "entry_line",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), server_default="", nullable=False),
        sa.Column("village", sa.Text(), server_default="", nullable=False),
        sa.Column("fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("deposit_no", sa.Text(), server_default="", nullable=False),
        sa.Column("document_no", sa.Text(), server_default="", nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("year", "insurance", "person_id", "payer"),
    )
    op.create_index("entry_line_by_document", "entry_line", ["document_no"], unique=False)
    op.create_table(
        "fiscal_total",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="MEDICAL, MEDICAL_SPECIAL, MATCHING, FAMILY_PLANNING"
        ),
        sa.Column("heads", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("year", "village", "kind"),
    )
    op.create_table(
        "open_campaign",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("pack_id", sa.Text(), nullable=False),
        sa.Column("pack_version", sa.Integer(), nullable=False),
        sa.Column("pack_digest", sa.Text(), nullable=False),
        sa.Column("window_to", sa.Date(), nullable=False),
        sa.Column("extended_to", sa.Date(), nullable=True),
        sa.Column("earlier_digests", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign"),
    )
    op.create_index(op.f("ix_open_campaign_year"), "open_campaign", ["year"], unique=False)
    op.create_table(
        "paid_line",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), server_default="", nullable=False),
        sa.Column("insurance", sa.Text(), server_default="", nullable=False),
        sa.Column("year", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("booked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("refunded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("line_id"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(op.f("ix_paid_line_person_id"), "paid_line", ["person_id"], unique=False)
    op.create_table(
        "person",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("birth", sa.Date(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("hukou_division", sa.Text(), nullable=False),
        sa.Column("residence_permit", sa.Boolean(), nullable=False),
        sa.Column("student", sa.Boolean(), nullable=False),
        sa.Column("household", sa.Text(), nullable=False),
        sa.Column("identified", sa.Boolean(), nullable=False),
        sa.Column("merged_into", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_index(op.f("ix_person_division"), "person", ["division"], unique=False)
    op.create_table(
        "task",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False, comment="empty: of no village"),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="record, return or month it is about"),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="OPEN or CLOSED"),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
    )
    op.create_index("task_by_state", "task", ["state", "task_id"], unique=False)
