"""The archive of an installation: base backups and every WAL segment since, outside its data directory.

``wal/`` is PostgreSQL's own (it copies each segment there before it recycles it), ``base/<name>/`` a base backup
with the manifest PostgreSQL made of it, ``base/<name>.json`` when it was taken. Nothing in it is encrypted beyond
what the services seal themselves: the keys are not in it and are kept apart (docs/runbooks/restore.md).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deploy.local.processes import Account, StartFailed, reachable, write_atomically

CHOSEN = "postgres.archive"
MANIFEST = "backup_manifest"
SWITCH_SECONDS = 60
"""A segment that is not full is archived after so long: what a lost machine costs at most."""


class Base(msgspec.Struct, frozen=True):
    """A base backup. A restore reaches every moment from ``ended`` on."""

    name: str
    ended: dt.datetime
    bytes: int


class _File(msgspec.Struct, frozen=True, rename={"path": "Path", "size": "Size", "checksum": "Checksum"}):
    """A line of PostgreSQL's manifest; the checksum is SHA-256, in hex."""

    path: str
    size: int
    checksum: str


class _Manifest(msgspec.Struct, frozen=True, rename={"files": "Files"}):
    files: list[_File]


def _whole(path: Path, file: _File) -> bool:
    try:
        with path.open("rb") as content:
            return path.stat().st_size == file.size and (
                hashlib.file_digest(content, "sha256").hexdigest() == file.checksum
            )
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive's folders."""

    folder: Path

    @property
    def wal(self) -> Path:
        """Closed WAL segments and timeline histories."""
        return self.folder / "wal"

    def base(self, name: str) -> Path:
        """A base backup's files."""
        return self.folder / "base" / name

    def settings(self) -> dict[str, str]:
        """What the server is started with. A segment is there whole and on the disk, or not at all."""
        kept, part = (shlex.quote(str(self.wal / name)) for name in ("%f", ".%f.part"))
        copy = f"if test -f {kept}; then cmp -s %p {kept}; else cp %p {part} && sync {part} && mv {part} {kept}; fi"
        return {
            "archive_command": copy,
            "archive_mode": "on",
            "archive_timeout": str(SWITCH_SECONDS),
            "max_wal_senders": "4",
            "wal_level": "replica",
        }

    def restore_command(self) -> str:
        """How a recovering server gets a segment."""
        return f"cp {shlex.quote(str(self.wal / '%f'))} %p"

    def prepare(self, account: Account | None) -> None:
        """Make the folders; ``wal`` is the server's. Raises StartFailed where its user cannot get to it."""
        for folder in (self.folder, self.wal, self.folder / "base"):
            folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711 if account is not None else 0o700)
        for folder in (self.wal, self.folder / "base"):
            folder.chmod(0o700)
        if account is None:
            return
        os.chown(self.wal, account.uid, account.gid)
        if not reachable(self.wal, account):
            raise StartFailed(
                f"{account.name} (PostgreSQL's user) cannot get to the archive in {self.folder}: every folder "
                "above it must let others pass (chmod o+x)"
            )

    def note(self, base: Base) -> None:
        """Write down a finished base backup: one without its note is not there."""
        write_atomically(
            self.folder / "base" / f"{base.name}.json", msgspec.json.encode(base).decode() + "\n", 0o600
        )

    def damaged(self, name: str) -> list[str]:
        """Files of a base backup that are not what its manifest says; the manifest itself when it is not whole."""
        place = self.base(name)
        try:
            manifest = msgspec.json.decode((place / MANIFEST).read_bytes(), type=_Manifest)
        except (OSError, msgspec.MsgspecError):
            return [MANIFEST]
        return [file.path for file in manifest.files if not _whole(place / file.path, file)]

    def bases(self) -> list[Base]:
        """Finished base backups, oldest first."""
        files = sorted((self.folder / "base").glob("*.json"))
        found = [msgspec.json.decode(file.read_bytes(), type=Base) for file in files]
        return sorted(found, key=lambda base: base.ended)

    def base_for(self, at: dt.datetime | None) -> Base | None:
        """The newest base backup that reaches a moment (None: the end)."""
        return next((base for base in reversed(self.bases()) if at is None or base.ended <= at), None)


def choose(data: Path, folder: Path) -> None:
    """From its next start on the installation's server archives there."""
    write_atomically(data / CHOSEN, f"{folder.resolve()}\n")


def chosen(data: Path) -> Archive | None:
    """The archive of an installation; None when none was chosen."""
    try:
        return Archive(Path((data / CHOSEN).read_text(encoding="utf-8").strip()))
    except FileNotFoundError:
        return None
