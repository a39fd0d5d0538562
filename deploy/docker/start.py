"""What a container of the image does: ``prepare``, ``databases``, ``healthy``, ``rehearsal`` or a service's name.

Secrets live in two volumes and in no file of the checkout: ``/run/liangxian/keys`` (services) and
``/run/liangxian/postgres`` (the database's administrator, shared with its container only).
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from deploy.docker.healthy import healthy
from deploy.local.databases import ExternalPostgres
from deploy.local.keys import ensure_keys
from deploy.local.layout import SERVICES
from deploy.local.processes import write_atomically
from deploy.local.programs import organisations_file
from deploy.local.provisioning import provision

KEYS = Path("/run/liangxian/keys")
POSTGRES = Path("/run/liangxian/postgres")
REHEARSAL = Path("/var/lib/liangxian/rehearsal")


def prepare(keys: Path = KEYS, postgres: Path = POSTGRES) -> None:
    """Make the key file and the administrator's password unless they are there.

    The password is readable to others: PostgreSQL's own user reads it, in a volume that only
    the two containers mount.
    """
    ensure_keys(keys / "keys.json")
    password = postgres / "password"
    if not password.exists():
        write_atomically(password, secrets.token_urlsafe(24), 0o444)


async def databases(host: str, keys: Path = KEYS, postgres: Path = POSTGRES) -> None:
    """Make databases and roles on the server; their addresses go to the services' volume."""
    password = (postgres / "password").read_text(encoding="ascii").strip()
    server = ExternalPostgres(f"postgresql://postgres:{password}@{host}/postgres")
    await server.start()
    await provision(server, keys / "databases.json")


def environment(service: str, given: Mapping[str, str], keys: Path = KEYS) -> dict[str, str]:
    """The settings of a service: what compose gives, completed from the volume."""
    addresses = json.loads((keys / "databases.json").read_text(encoding="ascii"))
    found: MutableMapping[str, str] = dict(given)
    found.setdefault("LIANGXIAN_DATABASE_URL", addresses[service]["service"])
    found.setdefault("LIANGXIAN_MIGRATE_URL", addresses[service]["migrate"])
    found.setdefault("LIANGXIAN_KEYS", str(keys / "keys.json"))
    if given.get("LIANGXIAN_BROKER", "embedded") == "embedded":
        found.setdefault("LIANGXIAN_BROKER_URL", addresses["broker"]["service"])
    if not given.get("LIANGXIAN_ISSUER_URL"):
        found.setdefault("LIANGXIAN_ORGANISATIONS", str(organisations_file()))
    return dict(found)


def unissued(given: Mapping[str, str]) -> str:
    """Why a service must not start: outside a rehearsal somebody has to issue its callers' tokens, and the
    development issuer's secrets are in every copy of the image; and nobody with an issuer's tokens works on a
    simulated clock. "" when it may."""
    issuer, rehearsal = bool(given.get("LIANGXIAN_ISSUER_URL")), given.get("LIANGXIAN_REHEARSAL") == "1"
    if issuer and rehearsal:
        return (
            "已设签发方时不得演练：请设 LIANGXIAN_REHEARSAL=0 / "
            "there is an issuer, and the clock would be simulated: set LIANGXIAN_REHEARSAL=0"
        )
    if issuer or rehearsal:
        return ""
    return (
        "未设置令牌签发方：请设 LIANGXIAN_ISSUER_URL；演练请设 LIANGXIAN_REHEARSAL=1 / "
        "nobody issues tokens: set LIANGXIAN_ISSUER_URL, or LIANGXIAN_REHEARSAL=1 for a rehearsal"
    )


def main(arguments: Sequence[str]) -> int:
    """Exit code 2 for an argument it does not know, and for a service whose tokens nobody issues."""
    match arguments:
        case ["prepare"]:
            prepare()
        case ["databases"]:
            asyncio.run(databases(os.environ.get("LIANGXIAN_POSTGRES_HOST", "postgres:5432")))
        case ["healthy"]:
            return 0 if healthy(int(os.environ["LIANGXIAN_PORT"])) else 1
        case ["rehearsal", *options]:
            from deploy.docker.rehearsing import main as rehearse

            return rehearse(options, KEYS, REHEARSAL)
        case [service] if service in SERVICES:
            if refusal := unissued(os.environ):
                print(refusal, file=sys.stderr)
                return 2
            command = [sys.executable, "-m", f"services.{service}"]
            os.execve(sys.executable, command, environment(service, os.environ))
        case _:
            print(f"one of: prepare, databases, healthy, {', '.join(SERVICES)}, rehearsal", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
