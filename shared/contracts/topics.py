"""Every topic: owner, partitions, partition key and retention. Brokers create no other (auto-creation is off)."""

from __future__ import annotations

from dataclasses import dataclass, field

PARTITIONS = 6
RETENTION_DAYS = 30


@dataclass(frozen=True, slots=True)
class Topic:
    """name: ``<service>.<capability>.v<major>``. key: the message attribute that is hashed (murmur2)."""

    service: str
    capability: str
    key: str
    major: int = 1
    partitions: int = PARTITIONS
    retention_days: int = RETENTION_DAYS
    name: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.service}.{self.capability}.v{self.major}")


PEOPLE = Topic("registration", "people", "person_id")
ENROLMENT = Topic("registration", "enrolment", "person_id")
SPECIAL_ASSESSMENT = Topic("registration", "special-assessment", "person_id")
ACCOUNTS = Topic("registration", "accounts", "person_id")
ENTITLEMENTS = Topic("registration", "entitlements", "person_id")
VITAL = Topic("registration", "vital", "person_id")
FISCAL_HEADS = Topic("registration", "fiscal-heads", "campaign")
BOOKKEEPING = Topic("registration", "bookkeeping", "voucher_no")

CAMPAIGNS = Topic("collection", "campaigns", "campaign")
TAXPAYERS = Topic("collection", "taxpayers", "person_id")
ASSESSMENT = Topic("collection", "assessment", "person_id")
ROSTER = Topic("collection", "roster", "village")
PAYMENTS = Topic("collection", "payments", "person_id")
SETTLEMENT = Topic("collection", "settlement", "village")
TREASURY = Topic("collection", "treasury", "voucher_no")
RELIEFS = Topic("collection", "reliefs", "person_id")
REFUNDS = Topic("collection", "refunds", "person_id")
RECONCILIATION = Topic("collection", "reconciliation", "campaign")
FUND_ACCOUNTS = Topic("collection", "fund-accounts", "village")
PAYMENT_DOCUMENTS = Topic("collection", "payment-documents", "voucher_no")

LISTS = Topic("subsidy", "lists", "person_id")
LIST_HEADERS = Topic("subsidy", "list-headers", "list_id")
ELIGIBILITY = Topic("subsidy", "eligibility", "person_id")
FUNDING = Topic("subsidy", "funding", "department")
REFUND_APPROVALS = Topic("subsidy", "refund-approvals", "person_id")

NOTICES = Topic("notification", "notices", "village")
SUPERVISION = Topic("notification", "supervision", "subject")
PROGRESS = Topic("notification", "progress", "campaign")

TOPICS: tuple[Topic, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Topic))
