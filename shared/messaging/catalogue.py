"""Every contract message this program knows, found in ``shared.contracts``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import shared.contracts
from shared.contracts.message import Message


@cache
def contract_types() -> dict[str, type[Message]]:
    """CloudEvents type to message class, of all services' contracts."""
    for module in pkgutil.iter_modules(shared.contracts.__path__, "shared.contracts."):
        importlib.import_module(module.name)
    found: dict[str, type[Message]] = {}
    waiting: list[type[Message]] = [Message]
    while waiting:
        for message in waiting.pop().__subclasses__():
            waiting.append(message)
            if hasattr(message, "topic") and message.__module__.startswith("shared.contracts."):
                found[message.type_name()] = message
    return found
