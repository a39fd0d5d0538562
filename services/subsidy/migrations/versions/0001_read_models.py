"""Read models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    op.create_table(
        "fiscal_subsidy",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("heads", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("appropriated_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("arrived_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_on", sa.Date(), nullable=True),
        sa.Column("appropriated_on", sa.Date(), nullable=True),
        sa.Column("arrived_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("campaign", "kind"),
    )
    op.create_table(
        "government_leg",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("payment_no", sa.String(length=120), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("submitted", sa.Boolean(), nullable=False, comment="false: it came back and is open again"),
        sa.Column("returned", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("year", "insurance", "person_id"),
    )
    op.create_index(op.f("ix_government_leg_payment_no"), "government_leg", ["payment_no"], unique=False)
    op.create_table(
        "refund_approval",
        sa.Column("refund_no", sa.String(length=200), nullable=False),
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("refund_no"),
    )
    op.create_index("refund_approval_by_state", "refund_approval", ["state", "refund_no"], unique=False)
    op.create_table(
        "subsidy_campaign_pack",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("pack_version", sa.Integer(), nullable=False),
        sa.Column("pack_digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("campaign"),
    )
    op.create_table(
        "subsidy_death",
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("died_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_table(
        "subsidy_entitlement",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("village", sa.String(length=12), nullable=False),
        sa.Column("department", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("payer", sa.String(length=12), nullable=False),
        sa.Column("government_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("year", "insurance", "person_id"),
    )
    op.create_index(
        "subsidy_entitlement_by_department",
        "subsidy_entitlement",
        ["campaign", "department", "insurance", "person_id"],
        unique=False,
    )
    op.create_index("subsidy_entitlement_by_person", "subsidy_entitlement", ["person_id"], unique=False)
    op.create_table(
        "subsidy_fund",
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("department", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("persons", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("applied_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("appropriated_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("transferred_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("submitted_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "department", "kind"),
    )
    op.create_table(
        "subsidy_list",
        sa.Column("list_id", sa.String(length=80), nullable=False),
        sa.Column("department", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("insurance", sa.String(length=10), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.String(length=20), nullable=False),
        sa.Column("stamped_total", sa.Integer(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("resubmits", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("list_id"),
    )
    op.create_table(
        "subsidy_list_line",
        sa.Column("list_id", sa.String(length=80), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("error", sa.String(length=24), nullable=False),
        sa.Column("corrected_in", sa.String(length=80), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("list_id", "line_no"),
    )
    op.create_index("subsidy_list_line_state", "subsidy_list_line", ["list_id", "state"], unique=False)
