"""Where notices live."""

from __future__ import annotations

from services.notification.notices.domain import Notice, evolve
from services.notification.notices.publishing import Publication, evolve_publication
from shared.eventstore.streams import Category, Stream

NOTICE = Category("notice", Notice(), evolve)


PUBLICATION = Category("notice", Publication(), evolve_publication)


def publication(publication_id: str, year: int) -> Stream[Publication]:
    """``notice:{id}`` of something shown without a period."""
    return PUBLICATION.stream(publication_id, era=year)


def notice(notice_id: str, year: int) -> Stream[Notice]:
    """``notice:{id}`` in the era of its campaign's year."""
    return NOTICE.stream(notice_id, era=year)
