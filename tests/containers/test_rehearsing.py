"""A rehearsal inside the containers' network, and what asks a container for its health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.docker.healthy import healthy
from deploy.docker.rehearsing import LOCAL, forwarded
from deploy.local.processes import free_port

Answer = bytes


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """A server that reads a line, answers and closes; its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readline()
        writer.write(answer.replace(b"ASKED", asked.strip()))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, LOCAL, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def asked(port: int, question: bytes) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(LOCAL, port)
        writer.write(question)
        answer = await reader.read()
        writer.close()
        return answer


async def test_a_forwarded_port_reaches_the_far_one_and_back() -> None:
    port = free_port()
    async with answering(b"heard ASKED") as far, forwarded(port, LOCAL, far):
        assert await asked(port, b"hello\n") == b"heard hello"
        assert await asked(port, b"again\n") == b"heard again"


async def test_a_far_port_that_is_closed_ends_the_connection() -> None:
    """The caller sees a broken connection and tries again; nothing hangs."""
    port = free_port()
    async with forwarded(port, LOCAL, free_port()):
        assert await asked(port, b"hello\n") == b""


@pytest.mark.parametrize(
    ("answer", "well"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"something else", False),
        (b"", False),
    ],
)
async def test_healthy_is_an_answer_of_200_and_nothing_else(answer: Answer, well: bool) -> None:
    async with answering(answer) as port:
        assert await asyncio.to_thread(healthy, port) is well
