"""Composition root of notification: the only module that wires."""

from __future__ import annotations

from fastapi import FastAPI

from services.notification.notices import api as notices_api
from services.notification.notices import consumer as notices_consumer
from services.notification.notices import events as notices_events
from services.notification.notices import projection as notices_projection
from services.notification.notices.handlers import Notices
from services.notification.notices.publication import NoticePublication
from services.notification.notices.reactions import CloseDueNotices
from services.notification.progress import api as progress_api
from services.notification.progress import events as progress_events
from services.notification.progress import projection as progress_projection
from services.notification.progress.publication import ProgressPublication
from services.notification.progress.reactions import IssueBulletins
from services.notification.reminders import events as reminders_events
from services.notification.reminders.consumer import RemindOfBirthday
from services.notification.supervision import api as supervision_api
from services.notification.supervision import events as supervision_events
from services.notification.supervision import projection as supervision_projection
from services.notification.supervision.consumer import WatchRefunds, WatchSettlements
from services.notification.supervision.publication import CasePublication
from shared.contracts import collection as c
from shared.contracts.message import Message
from shared.contracts.registration import BookkeepingEntriesPostedV1, PersonRegisteredV1
from shared.eventstore.types import EventTypes
from shared.kernel.events import DayBegun, Event
from shared.policy.registry import open_registry
from shared.web.service import Ports, ServiceDefinition, ServiceDescription

EVENTS: tuple[type[Event], ...] = (
    DayBegun,
    *notices_events.EVENTS,
    *supervision_events.EVENTS,
    *reminders_events.EVENTS,
    *progress_events.EVENTS,
)

RECEIVES: tuple[type[Message], ...] = (
    PersonRegisteredV1,
    BookkeepingEntriesPostedV1,
    c.PolicyPackPublishedV1,
    c.CampaignOpenedV1,
    c.CampaignWindowExtendedV1,
    c.CollectionTargetAssignedV1,
    c.ContributionAssessedV1,
    c.AssessmentRefusedV1,
    c.BirthdayHoldFoundV1,
    c.RosterLinesFormedV1,
    c.RosterDispatchedV1,
    c.VillageRosterSignedV1,
    c.PaymentNoticeStampedV1,
    c.VillagePaymentsConfirmedV1,
    c.ObjectionResolvedV1,
    c.PaymentReceivedV1,
    c.DailySettlementDiscrepancyDetectedV1,
    c.SettlementOverdueV1,
    c.TreasuryEntryConfirmedV1,
    c.RefundPaidV1,
    c.RefundPaidAfterCancellationV1,
)


def describe(ports: Ports) -> ServiceDescription:
    """Capabilities and their readers, wired to the ports."""
    packs = open_registry(ports.settings.packs)
    return ServiceDescription(
        routers=(
            notices_api.router(Notices(ports.store), ports.database, ports.vault),
            notices_api.publishing_router(Notices(ports.store), ports.database, packs, ports.clock),
            progress_api.router(ports.database),
            supervision_api.router(ports.store, ports.database, ports.clock),
        ),
        projections=(
            notices_projection.NoticeProjection(),
            progress_projection.ProgressProjection(),
            supervision_projection.CaseProjection(),
        ),
        reactions=(
            CloseDueNotices(),
            IssueBulletins(),
            notices_consumer.StartNotices(packs),
            notices_consumer.ReceiveResolutions(),
            RemindOfBirthday(),
            WatchSettlements(),
            WatchRefunds(),
        ),
        publications=(NoticePublication(), ProgressPublication(), CasePublication()),
        facts=lambda: {"packs": {f"{pack.id}/{pack.version}": pack.digest for pack in packs}},
    )


SERVICE = ServiceDefinition(
    name="notification",
    title="通知 Notification",
    types=EventTypes(EVENTS, RECEIVES),
    receives=RECEIVES,
    identities=(PersonRegisteredV1,),
    describe=describe,
    metadata=(notices_projection.metadata, progress_projection.metadata, supervision_projection.metadata),
    migrations="services.notification.migrations",
)


def create_app() -> FastAPI:
    """The factory uvicorn calls; nothing happens on import."""
    from shared.web.assemble import production_app

    return production_app(SERVICE)
