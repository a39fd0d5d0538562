"""A rehearsal inside the containers' network, and what asks a container for its health."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from deploy.docker.healthy import healthy
from deploy.docker.rehearsing import LOCAL, forwarded
from deploy.local.processes import free_port

ROOT = Path(__file__).parents[2]
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


WELL = pytest.mark.parametrize(
    ("answer", "well"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"something else", False),
        (b"", False),
    ],
)


@WELL
async def test_healthy_is_an_answer_of_200_and_nothing_else(answer: Answer, well: bool) -> None:
    async with answering(answer) as port:
        assert await asyncio.to_thread(healthy, port) is well


async def probed(port: int) -> bool:
    """The health check of docker-compose.yml, as the engine runs it in a container."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    command = [word.replace("$$", "$") for word in compose["x-service"]["healthcheck"]["test"][1:]]
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"LIANGXIAN_PORT": str(port), "PATH": os.environ["PATH"]},
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(10):
        return await process.wait() == 0


@WELL
async def test_the_probe_of_compose_says_the_same(answer: Answer, well: bool) -> None:
    async with answering(answer) as port:
        assert await probed(port) is well


async def test_nobody_listening_is_not_healthy() -> None:
    port = free_port()
    assert not await probed(port)
    assert not healthy(port)
