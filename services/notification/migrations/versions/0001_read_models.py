"""Read models of notification as of the first release."""

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
        "audit_case",
        sa.Column("case_id", sa.String(length=160), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("village", sa.String(length=12), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("case_id"),
    )
    op.create_index("audit_case_by_state", "audit_case", ["campaign", "state"], unique=False)
    op.create_table(
        "notice",
        sa.Column("notice_id", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("village", sa.String(length=12), nullable=False),
        sa.Column("roster_id", sa.String(length=64), nullable=False),
        sa.Column("roster_version", sa.Integer(), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=False),
        sa.Column("to_date", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("notice_id"),
    )
    op.create_index("notice_by_village", "notice", ["village", "notice_id"], unique=False)
    op.create_index("notice_due", "notice", ["state", "to_date"], unique=False)
    op.create_table(
        "notice_campaign",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("pack_version", sa.Integer(), nullable=False),
        sa.Column("pack_digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("campaign"),
    )
    op.create_table(
        "notice_objection",
        sa.Column("objection_id", sa.String(length=140), nullable=False),
        sa.Column("notice_id", sa.String(length=120), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=True),
        sa.Column("claim", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=True),
        sa.PrimaryKeyConstraint("objection_id"),
    )
    op.create_index(op.f("ix_notice_objection_notice_id"), "notice_objection", ["notice_id"], unique=False)
    op.create_table(
        "notice_payment_line",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("village", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "village", "person_id", "insurance"),
    )
    op.create_table(
        "notice_publication",
        sa.Column("publication_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("village", sa.String(length=12), nullable=False),
        sa.Column("about", sa.String(length=120), nullable=False),
        sa.Column("persons", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("publication_id"),
    )
    op.create_index(
        "notice_publication_by_village", "notice_publication", ["campaign", "village"], unique=False
    )
    op.create_table(
        "notice_roster_line",
        sa.Column("roster_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("personal_fen", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("roster_id", "version", "person_id", "insurance"),
    )
    op.create_table(
        "progress_campaign",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("window_from", sa.Date(), nullable=False),
        sa.Column("window_to", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("campaign"),
    )
    op.create_table(
        "progress_obligation",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("village", sa.String(length=12), nullable=False),
        sa.Column("birth", sa.Date(), nullable=True),
        sa.Column("assessed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("standard_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("personal_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sponsored_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("government_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "insurance", "person_id"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "progress_obligation_by_village",
        "progress_obligation",
        ["campaign", "village", "insurance"],
        unique=False,
    )
    op.create_table(
        "progress_stage",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("village", sa.String(length=12), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("lines", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "village", "insurance", "stage"),
    )
    op.create_table(
        "progress_target",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("division", sa.String(length=12), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("persons", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=True),
        sa.Column("statistical_scope", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "division", "insurance"),
    )
