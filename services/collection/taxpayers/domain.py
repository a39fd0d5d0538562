"""Accepting what registration transmits, linking it, and linking the payer to a virtual household. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from services.collection.obligations.facts import EnrolmentLink, OtherCover, SpecialIdentity, TaxpayerFact
from services.collection.taxpayers import events as e
from shared.kernel.division import is_division
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

ACTIVE = "ACTIVE"
CANCELLED = "CANCELLED"


class LinkRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """接收并关联 one transmitted registration. village: the 12-digit division that collects."""

    person_id: str
    record_no: str
    record_version: int
    insurance: Insurance
    year: int
    status: str
    period_from: dt.date
    period_to: dt.date
    birth: dt.date
    sex: str
    village: str
    hukou_division: str
    residence_permit: bool = False
    student: bool = False
    household: str = ""


class Link(msgspec.Struct, frozen=True):
    """A live link; virtual_household_id is "" while nobody collects for the payer."""

    record_no: str
    campaign: str
    village: str
    virtual_household_id: str = ""


class Taxpayer(msgspec.Struct, frozen=True):
    """State of ``taxpayer:{person}``. records: newest version per record number; person: as accepted last."""

    taxpayer_no: str = ""
    person: e.RegistrationInfoAccepted | None = None
    records: Mapping[str, int] = {}
    links: Mapping[tuple[Insurance, int], Link] = {}
    covers: tuple[OtherCover, ...] = ()
    identities: tuple[SpecialIdentity, ...] = ()


def evolve(state: Taxpayer, event: Event) -> Taxpayer:
    """Fold one event."""
    match event:
        case e.NaturalPersonCollected():
            return replace(state, taxpayer_no=event.taxpayer_no)
        case e.RegistrationInfoAccepted():
            records = {**state.records, event.record_no: event.record_version}
            return replace(state, records=records, person=event)
        case e.RegistrationLinked():
            before = state.links.get((event.insurance, event.year))
            household = before.virtual_household_id if before is not None else ""
            return _with_link(state, event, Link(event.record_no, event.campaign, event.village, household))
        case e.RegistrationUnlinked():
            links = {key: link for key, link in state.links.items() if key != (event.insurance, event.year)}
            return replace(state, links=links)
        case e.PayerLinkedToVirtualHousehold():
            return _household(state, event, event.virtual_household_id)
        case e.PayerUnlinkedFromVirtualHousehold():
            return _household(state, event, "")
        case e.OtherCoverNoted():
            found = OtherCover(event.insurance, event.kind, event.from_date, event.to_date)
            kept = tuple(each for each in state.covers if not _same_spell(each, found))
            return replace(state, covers=(*kept, found))
        case e.SpecialIdentityNoted():
            mark = SpecialIdentity(event.insurance, event.year, event.category, event.source_department)
            others = tuple(each for each in state.identities if each != mark)
            return replace(state, identities=others if event.ended else (*others, mark))
        case _:
            return state


def _same_spell(one: OtherCover, other: OtherCover) -> bool:
    """A spell is reported again when its end is known."""
    return (one.insurance, one.kind, one.from_date) == (other.insurance, other.kind, other.from_date)


def note_cover(state: Taxpayer, person_id: str, cover: OtherCover) -> list[Event]:
    """Keep cover elsewhere; the same report again is nothing new (I-05)."""
    if cover in state.covers:
        return []
    return [
        e.OtherCoverNoted(
            person_id=person_id,
            insurance=cover.insurance,
            kind=cover.kind,
            from_date=cover.from_date,
            to_date=cover.to_date,
        )
    ]


def note_identity(state: Taxpayer, person_id: str, mark: SpecialIdentity, *, ended: bool) -> list[Event]:
    """Keep an identity, or that it ended (I-06)."""
    if (mark in state.identities) is not ended:
        return []
    return [
        e.SpecialIdentityNoted(
            person_id=person_id,
            insurance=mark.insurance,
            year=mark.year,
            category=mark.category,
            source_department=mark.department,
            ended=ended,
        )
    ]


_Linked = e.RegistrationLinked | e.PayerLinkedToVirtualHousehold | e.PayerUnlinkedFromVirtualHousehold


def _with_link(state: Taxpayer, event: _Linked, link: Link) -> Taxpayer:
    return replace(state, links={**state.links, (event.insurance, event.year): link})


def _household(state: Taxpayer, event: _Linked, household: str) -> Taxpayer:
    link = state.links.get((event.insurance, event.year))
    if link is None:
        return state
    return _with_link(state, event, replace(link, virtual_household_id=household))


def person_fact(state: Taxpayer) -> TaxpayerFact | None:
    """The person and his live links as the stream has them now; None before anything was accepted."""
    person = state.person
    if person is None:
        return None
    return TaxpayerFact(
        person_id=person.person_id,
        taxpayer_no=state.taxpayer_no,
        birth=person.birth,
        sex=person.sex,
        hukou_division=person.hukou_division,
        residence_permit=person.residence_permit,
        student=person.student,
        village=person.village,
        household=person.household,
        links=tuple(
            EnrolmentLink(
                insurance, year, link.campaign, link.village, link.record_no, link.virtual_household_id
            )
            for (insurance, year), link in state.links.items()
        ),
        covers=state.covers,
        identities=state.identities,
    )


def taxpayer_no(person_id: str) -> str:
    """纳税人识别号 within this system: derived, so a replay gives the same one."""
    return f"T{person_id[:16]}"


def link_registration(
    state: Taxpayer,
    command: LinkRegistration,
    campaign: str | None,
    household: str = "",
    *,
    campaign_open: bool = True,
) -> list[Event]:
    """Answer one transmitted version: every one gets accepted or rejected, an old one VERSION_STALE.

    campaign: whose campaign collects in that village and year; None when there is no such pack.
    household: the virtual household whose scope holds the village, "" for none. campaign_open: it is known.
    """
    known = state.records.get(command.record_no, 0)
    if command.record_version == known:
        return []
    error = _fault(command, known, campaign)
    if error or campaign is None:
        return [_rejected(command, error or "NO_CAMPAIGN")]
    events: list[Event] = []
    if not state.taxpayer_no:
        events.append(
            e.NaturalPersonCollected(
                person_id=command.person_id,
                taxpayer_no=taxpayer_no(command.person_id),
                birth=command.birth,
                sex=command.sex,
            )
        )
    events.append(_accepted(command))
    if command.status == CANCELLED:
        return events + _unlinked(state, command, "CANCELLED")
    return events + _linked(state, command, campaign, household, campaign_open)


def _fault(command: LinkRegistration, known: int, campaign: str | None) -> str:
    if command.record_version < known:
        return "VERSION_STALE"
    if not (is_division(command.village) and len(command.village) == 12):
        return "DIVISION_INVALID"
    outside = not command.period_from.year <= command.year <= command.period_to.year
    if command.period_from > command.period_to or outside:
        return "PERIOD_INVALID"
    return "NO_CAMPAIGN" if campaign is None else ""


def _rejected(command: LinkRegistration, error: str) -> e.RegistrationInfoRejected:
    return e.RegistrationInfoRejected(
        person_id=command.person_id,
        record_no=command.record_no,
        record_version=command.record_version,
        insurance=command.insurance,
        year=command.year,
        error=error,
    )


def _accepted(command: LinkRegistration) -> e.RegistrationInfoAccepted:
    return e.RegistrationInfoAccepted(
        person_id=command.person_id,
        record_no=command.record_no,
        record_version=command.record_version,
        insurance=command.insurance,
        year=command.year,
        status=command.status,
        birth=command.birth,
        sex=command.sex,
        village=command.village,
        hukou_division=command.hukou_division,
        residence_permit=command.residence_permit,
        student=command.student,
        household=command.household,
        period_from=command.period_from,
        period_to=command.period_to,
    )


def _unlinked(state: Taxpayer, command: LinkRegistration, reason: str) -> list[Event]:
    link = state.links.get((command.insurance, command.year))
    if link is None or link.record_no != command.record_no:
        return []
    return [
        *_left_household(command.person_id, command.insurance, command.year, link, reason),
        e.RegistrationUnlinked(
            person_id=command.person_id,
            record_no=command.record_no,
            insurance=command.insurance,
            year=command.year,
            campaign=link.campaign,
            village=link.village,
            reason=reason,
        ),
    ]


def _linked(
    state: Taxpayer, command: LinkRegistration, campaign: str, household: str, campaign_open: bool
) -> list[Event]:
    link = state.links.get((command.insurance, command.year))
    if link is not None and link.record_no != command.record_no:
        return [
            e.RegistrationLinkFailed(
                person_id=command.person_id,
                record_no=command.record_no,
                insurance=command.insurance,
                year=command.year,
                reason="OTHER_RECORD_LIVE",
                record_version=command.record_version,
            )
        ]
    events: list[Event] = []
    moved = link is not None and (link.campaign, link.village) != (campaign, command.village)
    if moved:
        events += _unlinked(state, command, "MOVED")
    events.append(
        e.RegistrationLinked(
            person_id=command.person_id,
            taxpayer_no=state.taxpayer_no or taxpayer_no(command.person_id),
            record_no=command.record_no,
            record_version=command.record_version,
            insurance=command.insurance,
            year=command.year,
            campaign=campaign,
            village=command.village,
            campaign_open=campaign_open,
        )
    )
    served = link.virtual_household_id if link is not None and not moved else ""
    if household and not served:
        after = Link(command.record_no, campaign, command.village)
        events.append(_joined(command.person_id, command.insurance, command.year, after, household))
    return events


def link_household(
    state: Taxpayer, person_id: str, insurance: Insurance, year: int, household: str
) -> list[Event]:
    """Link a payer to the household that collects for him; at most one live link, the newest scope wins."""
    link = state.links.get((insurance, year))
    if link is None or link.virtual_household_id == household:
        return []
    return [
        *_left_household(person_id, insurance, year, link, "RELINKED"),
        _joined(person_id, insurance, year, link, household),
    ]


def _joined(
    person_id: str, insurance: Insurance, year: int, link: Link, household: str
) -> e.PayerLinkedToVirtualHousehold:
    return e.PayerLinkedToVirtualHousehold(
        person_id=person_id,
        insurance=insurance,
        year=year,
        campaign=link.campaign,
        village=link.village,
        virtual_household_id=household,
    )


def _left_household(person_id: str, insurance: Insurance, year: int, link: Link, reason: str) -> list[Event]:
    if not link.virtual_household_id:
        return []
    return [
        e.PayerUnlinkedFromVirtualHousehold(
            person_id=person_id,
            insurance=insurance,
            year=year,
            campaign=link.campaign,
            virtual_household_id=link.virtual_household_id,
            reason=reason,
        )
    ]
