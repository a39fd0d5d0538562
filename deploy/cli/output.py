"""One way to answer: ``--json`` prints one object on stdout; people get tables; progress goes to stderr."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Annotated, Any, NoReturn, TypeVar

import anyio
import httpx
import msgspec
import typer
from rich.console import Console

T = TypeVar("T")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象 / print one JSON object on stdout")]


class Exit(IntEnum):
    """Exit codes scripts rely on."""

    OK = 0
    DIFFERENCE = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMED_OUT = 4
    INTERRUPTED = 130


def show_json(value: Any) -> None:
    """One JSON object, indented, on stdout."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def fail(code: Exit, message: str) -> NoReturn:
    """Say why on stderr and end with the code."""
    err.print(message, markup=False)
    raise typer.Exit(int(code))


AGAIN = "已中断 / interrupted"


def run(work: Callable[[], Coroutine[Any, Any, T]], interrupted: str = AGAIN, *, fast: bool = False) -> T:
    """Run a coroutine; what cannot be reached, takes too long or is interrupted ends with its exit code.

    interrupted: the sentence after Ctrl-C, which says how to go on; fast: on uvloop, for thousands of requests.
    """
    try:
        return anyio.run(work, backend_options={"use_uvloop": fast})
    except KeyboardInterrupt:
        fail(Exit.INTERRUPTED, interrupted)
    except TimeoutError:
        fail(Exit.TIMED_OUT, "超时 / timed out")
    except httpx.TimeoutException:
        fail(Exit.TIMED_OUT, "超时 / timed out")
    except httpx.TransportError as fault:
        fail(Exit.UNREACHABLE, f"无法连接 / unreachable: {type(fault).__name__}")
