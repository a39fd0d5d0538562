"""``python -m deploy.local.revise SERVICE "what changes"``: a new migration of a service's read models.

A throw-away PostgreSQL is brought to the newest version, compared with the tables the code declares, and the
difference is written as ``services/<service>/migrations/versions/<nnnn>_<what>.py``. Read it before committing:
forward only, and safe for the version that still runs (ADR 0002 keeps code N-1 on schema N).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.layout import SERVICES
from deploy.local.postgres import PostgresServer
from shared.web.migrating import migrate_service
from shared.web.service import ServiceDefinition

VERSION_TABLE = "read_model_version"
ENVIRONMENT = '''"""Alembic environment: runs on the connection the service hands over."""

from __future__ import annotations

from alembic import context

from shared.web.migrating import upgrade_in

upgrade_in(context)
'''
REVISION = '''"""{message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

{imports}revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    {body}
'''


def definition_of(service: str) -> ServiceDefinition:
    """``services.<service>.app.SERVICE``."""
    found: ServiceDefinition = importlib.import_module(f"services.{service}.app").SERVICE
    return found


def only_read_models(_item: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    """Alembic's ``include_object``: its own table is none of ours."""
    return not (kind == "table" and name == VERSION_TABLE)


def combined(definition: ServiceDefinition) -> sa.MetaData:
    """All read-model tables of a service in one metadata, without those of schema ``platform``."""
    whole = sa.MetaData()
    for metadata in definition.metadata:
        for table in metadata.tables.values():
            if table.schema is None:
                table.to_metadata(whole)
    return whole


def difference(connection: sa.Connection, definition: ServiceDefinition) -> Any:
    """What must change for the database to equal the code, as Alembic operations."""
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "include_object": only_read_models,
            "target_metadata": combined(definition),
        },
    )
    return produce_migrations(context, combined(definition))


def write_revision(folder: Path, script: Any, message: str) -> Path:
    """The next numbered file of the folder."""
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text('"""Migrations of the read models (Alembic), forward only."""\n')
    (folder / "env.py").write_text(ENVIRONMENT)
    known = sorted(path.stem.partition("_")[0] for path in versions.glob("[0-9]*.py"))
    revision = f"{int(known[-1]) + 1 if known else 1:04d}"
    rendered_imports: list[str] = []
    body = render_python_code(
        script.upgrade_ops,
        render_as_batch=False,
        imports=rendered_imports,
        user_module_prefix=None,
    )
    body = body.replace("shared.eventstore.columns.Moment(timezone=True)", "sa.DateTime(timezone=True)")
    body = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("# ###")).strip()
    down = f'"{known[-1]}"' if known else "None"
    words = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    path = versions / f"{revision}_{words}.py"
    imports = "".join(f"{line}\n" for line in sorted(set(rendered_imports)))
    path.write_text(
        REVISION.format(message=message, revision=revision, down=down, body=body, imports=imports)
    )
    return path


async def revise(service: str, message: str) -> Path | None:
    """Write the revision; None when nothing differs."""
    definition = definition_of(service)
    with tempfile.TemporaryDirectory(prefix="liangxian-revise-") as data:
        server = PostgresServer(Path(data))
        await server.start()
        try:
            await server.create_database(service)
            url = server.url(service)
            await migrate_service(definition, url, url) if has_versions(service) else None
            engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
            async with engine.connect() as connection:
                script = await connection.run_sync(difference, definition)
            await engine.dispose()
        finally:
            await server.stop()
    if script.upgrade_ops is None or script.upgrade_ops.is_empty():
        return None
    return write_revision(folder_of(service), script, message)


def folder_of(service: str) -> Path:
    """Where a service's migrations lie in this checkout."""
    module = importlib.import_module(f"services.{service}")
    return Path(str(module.__file__)).parent / "migrations"


def has_versions(service: str) -> bool:
    """False before the first revision."""
    return (folder_of(service) / "env.py").is_file()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("message")
    chosen = parser.parse_args()
    path = asyncio.run(revise(chosen.service, chosen.message))
    print(path if path is not None else "没有变化 / nothing to change")


if __name__ == "__main__":
    main()
