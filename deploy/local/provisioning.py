"""Databases and roles of the four services and the embedded broker, made once, then found again.

A service may change its read models and append through the log's function; the schema belongs
to ``<service>_owner``, whom only migrations are. ``auditor`` reads everything and writes nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from deploy.local.databases import quoted
from deploy.local.layout import SERVICES
from deploy.local.postgres import Server
from deploy.local.processes import StartFailed, write_atomically

AUDITOR = "auditor"
BROKER = "broker"
Addresses = Mapping[str, Mapping[str, str]]


def owner_of(service: str) -> str:
    """The role that a service's schema belongs to."""
    return f"{service}_owner"


async def provision(server: Server, file: Path) -> Addresses:
    """Make what is missing; returns service -> {service, migrate, auditor} and writes it to ``file`` (0600).

    Passwords are kept from one start to the next; addresses follow the server's port. Raises StartFailed when
    a server that is not ours holds these databases and this directory never made them: another installation's
    data would be written into, and dropped when a demo is over.
    """
    kept = file.with_name("passwords.json")
    if not kept.exists() and server.running() is None:
        await _refuse_taken_names(server)
    passwords = _passwords(kept)
    await server.create_role(AUDITOR, passwords[AUDITOR])
    addresses: dict[str, dict[str, str]] = {}
    for name in SERVICES:
        owner = owner_of(name)
        await server.create_role(owner, passwords[owner])
        await server.create_role(name, passwords[name])
        await server.create_database(name, owner=owner)
        addresses[name] = {
            "service": server.url(name, role=name, password=passwords[name]),
            "migrate": server.url(name, role=owner, password=passwords[owner]),
            "auditor": server.url(name, role=AUDITOR, password=passwords[AUDITOR]),
        }
        await _grant(server.url(name), name, owner)
    await server.create_role(BROKER, passwords[BROKER])
    await server.create_database(BROKER, owner=BROKER)
    addresses[BROKER] = {
        "service": server.url(BROKER, role=BROKER, password=passwords[BROKER]),
        "auditor": server.url(BROKER, role=AUDITOR, password=passwords[AUDITOR]),
    }
    write_atomically(file, json.dumps(addresses, indent=1) + "\n", 0o600)
    return addresses


async def _refuse_taken_names(server: Server) -> None:
    connection = await asyncpg.connect(server.url(), timeout=10)
    try:
        taken = await connection.fetch(
            "SELECT datname FROM pg_database WHERE datname = ANY ($1) ORDER BY 1", [*SERVICES, BROKER]
        )
    finally:
        await connection.close()
    if taken:
        raise StartFailed(
            f"the server of LIANGXIAN_POSTGRES_URL holds another installation's databases "
            f"({', '.join(row['datname'] for row in taken)}): use its data directory, or another server"
        )


async def _grant(administrator: str, service: str, owner: str) -> None:
    role, schema_owner, auditor = quoted(service), quoted(owner), quoted(AUDITOR)
    connection = await asyncpg.connect(administrator, timeout=10)
    try:
        await connection.execute(
            f"""
            REVOKE ALL ON DATABASE {role} FROM PUBLIC;
            GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {role} TO {role};
            GRANT CONNECT ON DATABASE {role} TO {auditor};
            GRANT pg_read_all_data TO {auditor};
            ALTER SCHEMA public OWNER TO {schema_owner};
            GRANT USAGE ON SCHEMA public TO {role};
            ALTER DEFAULT PRIVILEGES FOR ROLE {schema_owner} IN SCHEMA public
                GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO {role};
            ALTER DEFAULT PRIVILEGES FOR ROLE {schema_owner} IN SCHEMA public
                GRANT USAGE, SELECT ON SEQUENCES TO {role};
            """
        )
    finally:
        await connection.close()


def _passwords(file: Path) -> dict[str, str]:
    """Role -> password; made for roles that have none yet."""
    try:
        known: dict[str, str] = json.loads(file.read_text(encoding="ascii"))
    except FileNotFoundError:
        known = {}
    roles = [AUDITOR, BROKER, *SERVICES, *map(owner_of, SERVICES)]
    missing = [role for role in roles if role not in known]
    if missing:
        known |= {role: secrets.token_urlsafe(24) for role in missing}
        write_atomically(file, json.dumps(known, indent=1) + "\n", 0o600)
    return known
