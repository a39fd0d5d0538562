"""Commands of the treasury: declare, verify, issue vouchers, move them step by step, return legs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from services.collection.obligations.facts import CampaignFact, campaign_refusal
from services.collection.obligations.government import owed_streams, take_legs
from services.collection.treasury import domain as d
from services.collection.treasury import events as t
from services.collection.treasury.queries import LINE_CLAIM, next_declaration
from services.collection.treasury.stream import declaration_stream, voucher_stream
from shared.contracts.subsidy import GovernmentLine, GovernmentPaymentSubmittedV1
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    FactSource,
    Guard,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.database import Database
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy.terms import NoticeKind

LINE_VOUCHERED = Refusal("INVALID_STATE", rule="LINE_VOUCHERED_ELSEWHERE", clause="I-23")

VoucherStep = Callable[[d.Voucher], "list[Event] | Refusal"]


@dataclass(frozen=True, slots=True)
class DeclarationFacts:
    """campaigns: id -> CampaignFact; rosters: roster id -> RosterStatusFact; lines: (campaign, village) ->
    DeclaredLine tuple; discrepancies: (campaign, village) -> number of open ones."""

    campaigns: FactSource
    rosters: FactSource
    lines: FactSource
    discrepancies: FactSource


def declare_command(
    command: d.Declare, facts: DeclarationFacts, metadata: Metadata, key: IdempotencyKey | None
) -> Command:
    """虚拟户申报."""
    stream = declaration_stream(command.declaration_no)
    place = (command.campaign, command.village)
    roster_id = f"{command.campaign}.{command.village}"

    def decide(loaded: Loaded) -> Accepted | Refusal:
        campaign: CampaignFact | None = loaded.fact(facts.campaigns, command.campaign)
        refusal = campaign_refusal(campaign)
        if refusal is not None or campaign is None or campaign.pack is None:
            return refusal or Refusal("NO_CAMPAIGN", field="campaign")
        candidates: Sequence[d.DeclaredLine] = loaded.fact(facts.lines, place) or ()
        events = d.submit_declaration(
            loaded.state(stream),
            command,
            loaded.fact(facts.rosters, roster_id),
            campaign.pack.notice_days(NoticeKind.PRE_DECLARATION) is not None,
            loaded.fact(facts.discrepancies, place) or 0,
            candidates,
        )
        if isinstance(events, Refusal):
            return events
        header: Any = events[-1]
        body = {
            "declaration_no": command.declaration_no,
            "status": "SUBMITTED",
            "count": header.count,
            "fen": header.fen,
            "off_roster": sum(1 for each in candidates if not each.on_roster),
        }
        return Accepted([Append(stream, events)], response=body)

    return Command(
        "submit_declaration",
        [stream],
        decide,
        replace(metadata, campaign=command.campaign),
        key,
        [
            (facts.campaigns, [command.campaign]),
            (facts.rosters, [roster_id]),
            (facts.lines, [place]),
            (facts.discrepancies, [place]),
        ],
    )


def verify_command(
    declaration_no: str,
    actor: str,
    accepted: bool,
    differences: str,
    divisions: Sequence[str],
    metadata: Metadata,
    key: IdempotencyKey | None,
) -> Command:
    """核对."""
    stream = declaration_stream(declaration_no)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        if state.status and not any(state.village.startswith(scope) for scope in divisions):
            return Refusal("DIVISION_FORBIDDEN", field="declaration_no")
        digest = hashlib.sha256(msgspec.json.encode([each.line for each in state.lines])).hexdigest()
        events = d.verify_declaration(state, declaration_no, actor, accepted, differences, digest)
        if isinstance(events, Refusal):
            return events
        body = {"declaration_no": declaration_no, "status": "VERIFIED" if accepted else "RETURNED"}
        return Accepted([Append(stream, events)] if events else [], response=body, status=200)

    return Command("verify_declaration", [stream], decide, metadata, key)


def voucher_number(*parts: str) -> str:
    """Numbers are derived, so that reruns and replays give equal ones."""
    return "-".join(("V", *parts))


def issue_command(
    issue: d.Issue,
    claims: FactSource,
    line_ids: Sequence[str],
    metadata: Metadata,
    key: IdempotencyKey,
    *,
    reads: Sequence[Stream[Any]] = (),
    lines: Callable[[Loaded], Iterable[t.VoucherLine]] | None = None,
) -> Command:
    """开票. ``lines``: taken from a stream in ``reads`` instead of ``issue``; none: no voucher.

    claims: line id -> who moves its money. What another voucher or a refund has is left out (I-23, I-28).
    """
    stream = voucher_stream(issue.voucher_no)

    def free(loaded: Loaded, line: t.VoucherLine) -> bool:
        return loaded.fact(claims, line.line_id) in (None, issue.voucher_no)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        given = issue.lines if lines is None else lines(loaded)
        meant = replace(issue, lines=tuple(line for line in given if free(loaded, line)))
        if not meant.lines:
            return Accepted(status=200)
        events = d.issue_voucher(loaded.state(stream), meant)
        if isinstance(events, Refusal):
            return events
        if not events:
            return Accepted(response={"voucher_no": issue.voucher_no}, status=200)
        guards = [
            Guard(LINE_CLAIM, line.line_id, issue.voucher_no, LINE_VOUCHERED)
            for line in meant.lines
            if line.line_id
        ]
        return Accepted([Append(stream, events)], guards, response={"voucher_no": issue.voucher_no})

    told = replace(metadata, campaign=issue.campaign)
    facts = [(claims, line_ids)]
    return Command("issue_voucher", [*reads, stream], decide, told, key, facts)


def declaration_vouchers(
    event: t.DeclarationVerified,
    claims: FactSource,
    line_ids: Sequence[str],
    metadata: Metadata,
    key: Callable[[str], IdempotencyKey],
) -> list[Command]:
    """One voucher per insurance of a verified declaration. line_ids: the declaration's lines."""
    source = declaration_stream(event.declaration_no)

    def lines_of(insurance: Insurance) -> Callable[[Loaded], list[t.VoucherLine]]:
        return lambda loaded: [
            each.line for each in loaded.state(source).lines if each.insurance is insurance
        ]

    year = int(event.campaign.rpartition("-")[2])
    return [
        issue_command(
            d.Issue(
                voucher_number(event.declaration_no, insurance.value),
                event.campaign,
                event.village,
                insurance,
                year,
                d.DECLARATION,
                event.declaration_no,
                (),
            ),
            claims,
            line_ids,
            metadata,
            key(insurance.value),
            reads=[source],
            lines=lines_of(insurance),
        )
        for insurance in Insurance
    ]


def step_command(
    operation: str,
    voucher_no: str,
    step: VoucherStep,
    divisions: Sequence[str],
    metadata: Metadata,
    key: IdempotencyKey | None,
) -> Command:
    """One step of a voucher; a repeat is accepted and writes nothing (200)."""
    stream = voucher_stream(voucher_no)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        if state.status and not any(state.division.startswith(scope) for scope in divisions):
            return Refusal("DIVISION_FORBIDDEN", field="voucher_no")
        events = step(state)
        if isinstance(events, Refusal):
            return events
        for event in events:
            state = d.evolve_voucher(state, event)
        body = {"voucher_no": voucher_no, "status": state.status, "fen": state.fen}
        return Accepted([Append(stream, events)] if events else [], response=body, status=200)

    return Command(operation, [stream], decide, metadata, key)


def government_command(
    message: GovernmentPaymentSubmittedV1, paid_at: Any, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """政府代缴: one voucher per part, over all villages; each leg once for ever (I-17, I-27)."""
    part = f"-p{message.part}" if message.part > 1 else ""
    number = voucher_number("GOV", message.payment_no, f"{message.insurance.value}{part}")
    stream = voucher_stream(number)
    owed = owed_streams(message)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        if loaded.version(stream):
            return Accepted(response={"voucher_no": number}, status=200)
        legs = take_legs(message, owed, loaded, number)
        refused: list[Event] = [_refused(message, line, reason, number) for line, reason in legs.refused]
        lines = [_government_line(line, due, paid_at) for line, due in legs.taken]
        issue = d.Issue(
            number,
            message.campaign,
            "",
            message.insurance,
            message.year,
            d.GOVERNMENT,
            message.payment_no,
            tuple(lines),
        )
        issued = d.issue_voucher(loaded.state(stream), issue) if lines else []
        if isinstance(issued, Refusal):
            return issued
        appends = [*legs.appends, Append(stream, [*refused, *issued])]
        return Accepted(appends, response={"voucher_no": number, "refused": len(refused)})

    told = replace(metadata, campaign=message.campaign)
    return Command("voucher_government_payment", [*owed.values(), stream], decide, told, key)


def _refused(
    message: GovernmentPaymentSubmittedV1, line: GovernmentLine, reason: str, voucher_no: str
) -> Event:
    return t.GovernmentLineRefused(
        payment_no=message.payment_no,
        department=message.department,
        voucher_no=voucher_no,
        campaign=message.campaign,
        village=line.village,
        person_id=line.person_id,
        insurance=message.insurance,
        year=message.year,
        payer=line.payer,
        fen=line.fen,
        reason=reason,
    )


def _government_line(line: GovernmentLine, assessment: Any, paid_at: Any) -> t.VoucherLine:
    return t.VoucherLine(
        "",
        line.person_id,
        line.village,
        line.payer,
        line.fen,
        assessment.standard_fen,
        paid_at,
        assessment.tier_yuan,
    )


class Treasury:
    """Handlers of the treasury capability."""

    def __init__(self, store: Store, database: Database, facts: DeclarationFacts) -> None:
        self._store = store
        self._database = database
        self._facts = facts

    async def declare(self, command: d.Declare, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """虚拟户申报 under the village's next number."""
        number = await next_declaration(self._database, command.campaign, command.village)
        numbered = replace(command, declaration_no=f"D-{command.village}-{command.campaign}-{number}")
        return await self._store.execute(declare_command(numbered, self._facts, metadata, key))

    async def execute(self, command: Command) -> Outcome:
        """A command made by one of this module's builders."""
        return await self._store.execute(command)
