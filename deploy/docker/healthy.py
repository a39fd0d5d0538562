"""``python -m deploy.docker.healthy``: whether ``/readyz`` of this container answers 200.

Asked every few seconds in every container: it imports next to nothing.
"""

from __future__ import annotations

import os
import socket
import sys

SECONDS = 5.0
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def healthy(port: int) -> bool:
    """True when ``/readyz`` answers 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(REQUEST)
            status = connection.recv(64).split(b"\r\n", 1)[0].split()
    except OSError:
        return False
    return len(status) > 1 and status[1] == b"200"


if __name__ == "__main__":
    sys.exit(0 if healthy(int(os.environ["LIANGXIAN_PORT"])) else 1)
