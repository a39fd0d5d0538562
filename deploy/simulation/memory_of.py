"""Forgetting what a process kept in memory: a started process knows nothing but what is stored.

Making a service's routes costs a hundred times what starting it does, so they are made once and used by all its
incarnations. What their objects held when they were made is what a new process holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CellType, FunctionType, MethodType
from typing import Any

OURS = ("services.", "shared.")


class Pristine:
    """The state of all our objects that can be reached from ``roots``, to be put back by ``restore``."""

    def __init__(self, roots: Iterable[Any], keep: Iterable[Any] = ()) -> None:
        self._states: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._containers: list[tuple[Any, Any]] = []
        self._seen: dict[int, Any] = {id(one): one for one in keep}
        waiting = list(roots)
        while waiting:
            waiting += self._look(waiting.pop())

    def _look(self, one: Any) -> list[Any]:
        if id(one) in self._seen or isinstance(one, type | str | bytes | int | float | None):
            return []
        self._seen[id(one)] = one
        if isinstance(one, FunctionType):
            return [*(one.__closure__ or ()), *(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values()]
        if isinstance(one, MethodType):
            return [one.__self__, one.__func__]
        if isinstance(one, CellType):
            return [one.cell_contents]
        if isinstance(one, dict):
            return list(one.values())
        if isinstance(one, list | tuple | set | frozenset):
            return list(one)
        return self._remember(one) if type(one).__module__.startswith(OURS) else []

    def _remember(self, one: Any) -> list[Any]:
        state: dict[str, Any] = getattr(one, "__dict__", {})
        slots = [getattr(one, name, None) for name in getattr(type(one), "__slots__", ())]
        if state:
            self._states.append((state, dict(state)))
        for value in (*state.values(), *slots):
            if isinstance(value, dict | list | set) and not any(
                value is seen for seen, _ in self._containers
            ):
                self._containers.append((value, value.copy()))
        return [*state.values(), *slots]

    def restore(self) -> None:
        """As it was when it was made."""
        for state, before in self._states:
            if state != before or len(state) != len(before):
                state.clear()
                state.update(before)
        for container, content in self._containers:
            if len(container) != len(content):
                container.clear()
                put: Callable[[Any], Any] = (
                    container.extend if isinstance(container, list) else container.update
                )
                put(content)
