"""Lines of verified subsidy lists as import commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.registration.causes import following
from services.registration.special_identities.domain import ListLine
from services.registration.special_identities.handlers import SpecialIdentityImports
from shared.contracts.subsidy import SubsidyLineSubmittedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait


class ImportSubsidyLines:
    """资助名单行 → 导入成功 or 导入失败."""

    name = "import-subsidy-lines"
    handles: tuple[type[msgspec.Struct], ...] = (SubsidyLineSubmittedV1,)

    def __init__(self, imports: SpecialIdentityImports) -> None:
        self._imports = imports

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command per line."""
        message: SubsidyLineSubmittedV1 = recorded.event
        line = ListLine(
            message.person_id,
            message.list_id,
            message.line_no,
            message.department,
            message.category,
            message.insurance,
            message.year,
            message.campaign,
            message.campaign.rpartition("-")[0],
            message.valid_from,
        )
        return [self._imports.import_command(line, following(recorded, self.name, message.campaign))]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)
