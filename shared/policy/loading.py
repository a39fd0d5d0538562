"""Read packs: YAML, then strict types. The only I/O of this package is reading its own data."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from shared.policy.model import PackDocument
from shared.policy.pack import Pack

_PACK_ID = re.compile(r"[A-Z][A-Z0-9]*-\d{4}\Z", re.ASCII)


class PackInvalidError(ValueError):
    """The file is not a policy pack; the message names the field, e.g. ``$.medical.late``."""


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice (YAML would keep the last, silently)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse(text: str) -> Pack:
    """A pack from YAML text. Raises PackInvalidError."""
    try:
        raw = yaml.load(text, Loader=_StrictLoader)
        return Pack(msgspec.convert(raw, PackDocument, strict=True))
    except (yaml.YAMLError, msgspec.ValidationError, ValueError) as error:
        raise PackInvalidError(str(error)) from error


def load_file(path: Path) -> Pack:
    """A pack from anyone's file (D-59). Raises PackInvalidError and OSError."""
    return parse(path.read_text(encoding="utf-8"))


@cache
def load_pack(pack_id: str) -> Pack:
    """A shipped pack. Raises KeyError for an unknown id."""
    entry = resources.files("shared.policy").joinpath("packs", f"{pack_id}.yaml")
    if not _PACK_ID.match(pack_id) or not entry.is_file():
        raise KeyError(pack_id)
    return parse(entry.read_text(encoding="utf-8"))


def load_packs() -> dict[str, Pack]:
    """All shipped packs by id, oldest insured year first."""
    packs = (
        load_pack(entry.name.removesuffix(".yaml"))
        for entry in resources.files("shared.policy").joinpath("packs").iterdir()
        if entry.name.endswith(".yaml")
    )
    return {pack.id: pack for pack in sorted(packs, key=lambda pack: (pack.insured_year, pack.id))}
