"""Fixtures of registration."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.testing.service import MemoryService
from tests.unit.registration.scenery import SCOPES, Desk, memory


@pytest.fixture
async def service() -> AsyncIterator[MemoryService]:
    """Registration in memory on 2019-10-15."""
    async with memory() as running:
        yield running


@pytest.fixture
async def desk(service: MemoryService) -> AsyncIterator[Desk]:
    """A clerk with every scope, everywhere."""
    async with service.client(SCOPES, organisation="hr") as client:
        yield Desk(service, client)
