"""Where notices live."""

from __future__ import annotations

from services.notification.notices.domain import Notice, evolve
from shared.eventstore.streams import Category, Stream

NOTICE = Category("notice", Notice(), evolve)


def notice(notice_id: str, year: int) -> Stream[Notice]:
    """``notice:{id}`` in the era of its campaign's year."""
    return NOTICE.stream(notice_id, era=year)
