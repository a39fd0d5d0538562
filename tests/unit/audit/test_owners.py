"""I-31: the audit knows the streams of every service, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.audit.verify import OWNERS

CATEGORY = re.compile(r"\bCategory\(\s*\"([a-z-]+)")
EVERYBODYS = {"process"}


@pytest.mark.parametrize("service", sorted(OWNERS))
def test_the_owners_are_those_the_code_has(service: str) -> None:
    """A stream nobody told the audit of would show as another's; one that is gone would be let in."""
    folder = Path(__file__).parents[3] / "services" / service
    found = {
        name for path in folder.rglob("*.py") for name in CATEGORY.findall(path.read_text(encoding="utf-8"))
    }
    assert found - EVERYBODYS == set(OWNERS[service])


def test_a_stream_has_one_owner() -> None:
    names = [name for owned in OWNERS.values() for name in owned]
    assert len(names) == len(set(names))
