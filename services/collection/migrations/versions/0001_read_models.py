"""Read models of collection as of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every read model; forward only."""
    op.create_table(
        "agent",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("virtual_household_id", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("designated_account", sa.Text(), nullable=False),
        sa.Column("channels", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "campaign"),
    )
    op.create_index("agent_village", "agent", ["campaign", "village", "agent_id"], unique=False)
    op.create_table(
        "campaign",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("pack_id", sa.Text(), nullable=False),
        sa.Column("pack_version", sa.Integer(), nullable=False),
        sa.Column("pack_digest", sa.Text(), nullable=False),
        sa.Column("window_from", sa.Date(), nullable=False),
        sa.Column("window_to", sa.Date(), nullable=False),
        sa.Column("extended_to", sa.Date(), nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("campaign"),
    )
    op.create_table(
        "campaign_target",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("persons", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("statistical_scope", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "division", "insurance"),
    )
    op.create_table(
        "deceased",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("died_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_table(
        "declaration",
        sa.Column("declaration_no", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("virtual_household_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("declaration_no"),
    )
    op.create_index("declaration_by_village", "declaration", ["campaign", "village"], unique=False)
    op.create_table(
        "enrolled",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("record_no", sa.Text(), nullable=False),
        sa.Column("record_version", sa.Integer(), nullable=False),
        sa.Column("virtual_household_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "insurance", "year"),
    )
    op.create_index(
        "enrolled_place", "enrolled", ["campaign", "insurance", "village", "person_id"], unique=False
    )
    op.create_table(
        "government_leg",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("year", "insurance", "person_id", "payer"),
    )
    op.create_table(
        "household_scope",
        sa.Column("virtual_household_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("division", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("virtual_household_id", "campaign", "insurance", "division"),
    )
    op.create_index(
        "household_scope_division", "household_scope", ["campaign", "insurance", "division"], unique=False
    )
    op.create_table(
        "money_book",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("placed_fen", sa.BigInteger(), nullable=False),
        sa.Column("hand_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "book", "insurance", "date"),
    )
    op.create_table(
        "money_line",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("voucher_no", sa.Text(), nullable=False),
        sa.Column("declaration_no", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("line_id"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "money_line_by_declaration",
        "money_line",
        ["declaration_no"],
        unique=False,
        postgresql_where=sa.text("declaration_no != ''"),
    )
    op.create_index(
        "money_line_by_voucher",
        "money_line",
        ["voucher_no", "person_id"],
        unique=False,
        postgresql_where=sa.text("voucher_no != ''"),
    )
    op.create_index(
        "money_line_unidentified",
        "money_line",
        ["campaign", "date"],
        unique=False,
        postgresql_where=sa.text("standing = 'UNIDENTIFIED'"),
    )
    op.create_table(
        "money_sum",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "insurance", "state"),
    )
    op.create_table(
        "money_village",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("collected_count", sa.BigInteger(), nullable=False),
        sa.Column("collected_fen", sa.BigInteger(), nullable=False),
        sa.Column("entered_count", sa.BigInteger(), nullable=False),
        sa.Column("entered_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "village", "insurance"),
    )
    op.create_table(
        "money_voucher",
        sa.Column("voucher_no", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("voucher_no"),
    )
    op.create_table(
        "obligation",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("birth", sa.Date(), nullable=True),
        sa.Column("assessment_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("personal_fen", sa.BigInteger(), nullable=False),
        sa.Column("government_fen", sa.BigInteger(), nullable=False),
        sa.Column("legs", sa.Text(), nullable=False),
        sa.Column("matching_subsidy_fen", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("tier_yuan", sa.Integer(), nullable=True),
        sa.Column("pack_version", sa.Integer(), nullable=False),
        sa.Column("special_assessment_no", sa.Text(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column("hold_until", sa.Date(), nullable=True),
        sa.Column("paid_standing", sa.Text(), nullable=True),
        sa.Column("paid_line_id", sa.Text(), nullable=True),
        sa.Column("paid_fen", sa.BigInteger(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_channel", sa.Text(), nullable=True),
        sa.Column("paid_agent", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("year", "insurance", "person_id"),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index(
        "obligation_place", "obligation", ["campaign", "village", "insurance", "person_id"], unique=False
    )
    op.create_table(
        "open_difference",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("difference_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "date", "difference_id"),
    )
    op.create_table(
        "outside_book",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("open_diff_fen", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "book", "insurance", "date"),
    )
    op.create_table(
        "payment_campaign",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign"),
    )
    op.create_table(
        "payment_line",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("order_no", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("tier_yuan", sa.Integer(), nullable=True),
        sa.Column("special_assessment_no", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("line_id"),
    )
    op.create_index(
        "payment_line_by_agent_day",
        "payment_line",
        ["campaign", "village", "agent_id", "paid_on"],
        unique=False,
    )
    op.create_index(
        "payment_line_by_channel_day", "payment_line", ["campaign", "channel", "paid_on"], unique=False
    )
    op.create_index("payment_line_by_payment", "payment_line", ["payment_id"], unique=False)
    op.create_index("payment_line_by_person", "payment_line", ["person_id"], unique=False)
    op.create_table(
        "payment_receipt",
        sa.Column("book_no", sa.Text(), nullable=False),
        sa.Column("serial_no", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("book_no", "serial_no"),
    )
    op.create_table(
        "policy_pack",
        sa.Column("pack_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pack_id", "version"),
    )
    op.create_table(
        "payment_history",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("year", "village", "insurance", "person_id"),
    )
    op.create_table(
        "policy_pack_published",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("pack_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("approver", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("previous_version", sa.Integer(), nullable=True),
        sa.Column("effective_from", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("campaign", "pack_id", "version"),
    )
    op.create_table(
        "campaign_revision_difference",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("pack_version", sa.Integer(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("before_standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("before_personal_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_personal_fen", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "pack_version", "insurance", "person_id"),
    )
    op.create_table(
        "receipt_book",
        sa.Column("book_no", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("last", sa.Text(), nullable=False),
        sa.Column("returned", sa.Boolean(), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("voided", sa.BigInteger(), nullable=False),
        sa.Column("unused", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("book_no"),
    )
    op.create_index("receipt_book_by_village", "receipt_book", ["campaign", "village"], unique=False)
    op.create_table(
        "reconciliation_day",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("equal", sa.Boolean(), nullable=False),
        sa.Column("in_transit_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "date", "insurance"),
    )
    op.create_table(
        "refund",
        sa.Column("refund_no", sa.Text(), nullable=False),
        sa.Column("payment_line_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("applicant", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("refund_no"),
    )
    op.create_index("refund_by_person", "refund", ["person_id"], unique=False)
    op.create_index("refund_by_state", "refund", ["state", "refund_no"], unique=False)
    op.create_table(
        "roster",
        sa.Column("roster_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("lapsed_count", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("personal_fen", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("notice_closed", sa.Boolean(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("signed", sa.Boolean(), nullable=False),
        sa.Column("pre_declaration_closed", sa.Boolean(), nullable=False),
        sa.Column("stamped", sa.Boolean(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("roster_id"),
    )
    op.create_index("roster_place", "roster", ["campaign", "village"], unique=False)
    op.create_table(
        "roster_line",
        sa.Column("roster_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("supplement", sa.Integer(), nullable=False),
        sa.Column("standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("personal_fen", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("assessment_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("roster_id", "insurance", "person_id"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("roster_line_person", "roster_line", ["campaign", "person_id", "insurance"], unique=False)
    op.create_table(
        "roster_objection",
        sa.Column("objection_id", sa.Text(), nullable=False),
        sa.Column("roster_id", sa.Text(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=True),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("objection_id"),
    )
    op.create_index("roster_objection_roster", "roster_objection", ["roster_id", "outcome"], unique=False)
    op.create_table(
        "roster_supplement",
        sa.Column("roster_id", sa.Text(), nullable=False),
        sa.Column("supplement", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("standard_fen", sa.BigInteger(), nullable=False),
        sa.Column("personal_fen", sa.BigInteger(), nullable=False),
        sa.Column("dispatched", sa.Boolean(), nullable=False),
        sa.Column("notice_closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("roster_id", "supplement"),
    )
    op.create_table(
        "settlement_day",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="AGENT", nullable=False),
        sa.Column("summary_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("summary_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("outside_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("confirmed_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("confirmed_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("open_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("open_diff_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("overdue_days", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("campaign", "village", "source", "date", "insurance"),
    )
    op.create_index(
        "settlement_day_open", "settlement_day", ["campaign", "village", "open_reason"], unique=False
    )
    op.create_table(
        "taxpayer",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("taxpayer_no", sa.Text(), nullable=False),
        sa.Column("birth", sa.Date(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("hukou_division", sa.Text(), nullable=False),
        sa.Column("residence_permit", sa.Boolean(), nullable=False),
        sa.Column("student", sa.Boolean(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("household", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_table(
        "three_way",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "village", "insurance"),
    )
    op.create_table(
        "treasury_line",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("declaration_no", sa.Text(), nullable=False),
        sa.Column("voucher_no", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("line_id"),
    )
    op.create_index(
        "treasury_line_by_declaration",
        "treasury_line",
        ["declaration_no"],
        unique=False,
        postgresql_where=sa.text("declaration_no != ''"),
    )
    op.create_index(
        "treasury_line_by_voucher",
        "treasury_line",
        ["voucher_no"],
        unique=False,
        postgresql_where=sa.text("voucher_no != ''"),
    )
    op.create_index(
        "treasury_line_waiting",
        "treasury_line",
        ["kind", "campaign", "village", "source", "date"],
        unique=False,
        postgresql_where=sa.text("voucher_no = ''"),
    )
    op.create_table(
        "virtual_household",
        sa.Column("virtual_household_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("unit_name", sa.Text(), nullable=False),
        sa.Column("villages", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("insurances", sa.Text(), nullable=False),
        sa.Column("divisions", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("virtual_household_id"),
    )
    op.create_index(
        "virtual_household_campaign", "virtual_household", ["campaign", "virtual_household_id"], unique=False
    )
    op.create_table(
        "voucher",
        sa.Column("voucher_no", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("treasury_date", sa.Date(), nullable=True),
        sa.Column("acknowledged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("voucher_no"),
    )
    op.create_index("voucher_by_state", "voucher", ["state", "voucher_no"], unique=False)
    op.create_index("voucher_by_village", "voucher", ["campaign", "village", "source"], unique=False)
    op.create_table(
        "voucher_book",
        sa.Column("voucher_no", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("treasury_date", sa.Date(), nullable=True),
        sa.Column("entered_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("entered_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("booked_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("booked_fen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("acknowledged", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("voucher_no"),
    )
    op.create_index("voucher_book_by_day", "voucher_book", ["campaign", "treasury_date"], unique=False)
    op.create_table(
        "fund_account",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_ref", sa.Text(), nullable=False),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "insurance", "kind"),
    )
    op.create_table(
        "fund_line",
        sa.Column("line_key", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("deposit_no", sa.Text(), nullable=False),
        sa.Column("deposited_on", sa.Date(), nullable=True),
        sa.Column("document_no", sa.Text(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("signed", sa.Boolean(), nullable=False),
        sa.Column("entered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("line_key"),
    )
    op.create_index("fund_line_by_document", "fund_line", ["document_no", "person_id"], unique=False)
    op.create_index(
        "fund_line_waiting", "fund_line", ["campaign", "kind", "village", "document_no"], unique=False
    )
    op.create_table(
        "payment_document",
        sa.Column("document_no", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("arrived", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("entered_count", sa.BigInteger(), nullable=False),
        sa.Column("entered_fen", sa.BigInteger(), nullable=False),
        sa.Column("summary_count", sa.BigInteger(), nullable=False),
        sa.Column("summary_fen", sa.BigInteger(), nullable=False),
        sa.Column("receipt_no", sa.Text(), nullable=False),
        sa.Column("transferred_on", sa.Date(), nullable=True),
        sa.Column("confirmed_on", sa.Date(), nullable=True),
        sa.Column("acknowledged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("document_no"),
    )
    op.create_index("payment_document_by_campaign", "payment_document", ["campaign", "state"], unique=False)
    op.create_index(
        "payment_document_by_origin", "payment_document", ["campaign", "source", "origin"], unique=False
    )
    op.create_table(
        "village_account",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("signatures", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("campaign", "village"),
    )
    op.create_table(
        "weekly_statistics",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("insurance", sa.Text(), nullable=False),
        sa.Column("subsidised", sa.Boolean(), nullable=False),
        sa.Column("received_count", sa.BigInteger(), nullable=False),
        sa.Column("received_fen", sa.BigInteger(), nullable=False),
        sa.Column("entered_count", sa.BigInteger(), nullable=False),
        sa.Column("entered_fen", sa.BigInteger(), nullable=False),
        sa.Column("money_count", sa.BigInteger(), nullable=False),
        sa.Column("money_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "date", "village", "insurance", "subsidised"),
    )
