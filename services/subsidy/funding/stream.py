"""Where funds and refund approvals live."""

from __future__ import annotations

from services.subsidy.funding.domain import Approval, Fund, FundKey, evolve, evolve_approval
from shared.eventstore.streams import Category, Stream

FUND = Category("fund", Fund(), evolve)
APPROVAL = Category("process:refund-approval", Approval(), evolve_approval)


def fund(key: FundKey) -> Stream[Fund]:
    """``fund:{department}:{campaign}:{kind}`` in the era of its year: a department serves many campaigns."""
    return FUND.stream(key.department, key.campaign, key.kind, era=key.year)


def approval(refund_no: str, year: int) -> Stream[Approval]:
    """``process:refund-approval:{refund_no}`` in the era of its year."""
    return APPROVAL.stream(refund_no, era=year)
