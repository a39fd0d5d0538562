"""Kept connections: one request at a time each, used again, and every way in which an answer may not come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from deploy.rehearsal.wire import KeptConnections

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Answers each request with the next answer, in its pieces; the piece None ends the connection."""

    def __init__(self, answers: Sequence[Sequence[bytes | None]]) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self._answers = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self._answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line[15:])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length:")
                    ),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                for piece in self._answers.pop(0):
                    if piece is None:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def served(*answers: Sequence[bytes | None]) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    server = Server(answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{server.port}"
    async with listening, httpx.AsyncClient(transport=KeptConnections(), base_url=address, timeout=5) as http:
        yield server, http


async def test_requests_one_after_another_share_a_connection() -> None:
    async with served([OK, b'{"a"', b":1}"], [OK + b'{"b":2}']) as (server, http):
        first = await http.post(
            "/things", params={"of": "岭"}, json={"x": 1}, headers={"Idempotency-Key": "k"}
        )
        second = await http.get("/things")
        assert (first.json(), second.json(), server.connections) == ({"a": 1}, {"b": 2}, 1)
    assert server.requests[0].startswith(b"POST /things?of=%E5%B2%AD HTTP/1.1\r\n")
    assert b"\r\nIdempotency-Key: k\r\n" in server.requests[0]
    assert server.requests[0].endswith(b'\r\n\r\n{"x":1}')


async def test_requests_at_once_have_a_connection_each() -> None:
    async with served([OK + b'{"a":1}'], [OK + b'{"b":2}']) as (server, http):
        answers = await asyncio.gather(http.get("/a"), http.get("/b"))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert server.connections == 2


async def test_an_answer_in_chunks_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with served([head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"]) as (_, http):
        assert (await http.get("/")).text == "abcde"


async def test_a_connection_the_service_closes_is_not_used_again() -> None:
    async with served([LAST], [LAST]) as (server, http):
        assert [(await http.get("/")).json(), (await http.get("/")).json()] == [{}, {}]
        assert server.connections == 2


@pytest.mark.parametrize(
    ("pieces", "fault"),
    [
        ([None], httpx.ReadError),
        ([OK, b'{"a"', None], httpx.ReadError),
        ([b"SMTP ready\r\n\r\n"], httpx.RemoteProtocolError),
    ],
)
async def test_an_answer_that_breaks_off_is_a_transport_error(
    pieces: list[bytes | None], fault: type[Exception]
) -> None:
    """And the next request begins anew: whoever was killed is asked again (issue 3 §4)."""
    async with served(pieces, [OK + b'{"b":2}']) as (server, http):
        with pytest.raises(fault):
            await http.get("/")
        assert (await http.get("/")).json() == {"b": 2}
        assert server.connections == 2


async def test_patience_ends() -> None:
    async with served([OK]) as (_, http):
        with pytest.raises(httpx.ReadTimeout):
            await http.get("/", timeout=0.05)


async def test_nobody_listens() -> None:
    async with served() as (server, http):
        pass
    async with httpx.AsyncClient(transport=KeptConnections()) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"http://127.0.0.1:{server.port}/")
