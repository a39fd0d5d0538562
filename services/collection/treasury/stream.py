"""Where declarations and vouchers live."""

from __future__ import annotations

from services.collection.treasury.domain import Declaration, Voucher, evolve_declaration, evolve_voucher
from shared.eventstore.streams import Category, Stream

DECLARATIONS = Category("declaration", Declaration(), evolve_declaration)
VOUCHERS = Category("voucher", Voucher(), evolve_voucher)


def declaration_stream(declaration_no: str) -> Stream[Declaration]:
    """``declaration:{no}``: a document, so perennial; its number holds the campaign."""
    return DECLARATIONS.stream(declaration_no)


def voucher_stream(voucher_no: str) -> Stream[Voucher]:
    """``voucher:{no}``."""
    return VOUCHERS.stream(voucher_no)
