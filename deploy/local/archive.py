"""The archive of an installation: base backups and every WAL segment since, outside its data directory.

``wal/`` is PostgreSQL's own (it copies each segment there before it recycles it), ``base/<name>/`` a base backup
with the manifest PostgreSQL made of it, ``base/<name>.json`` when it was taken. Nothing in it is encrypted beyond
what the services seal themselves: the keys are not in it and are kept apart (docs/runbooks/restore.md).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from deploy.local.processes import Account, StartFailed, reachable, write_atomically

CHOSEN = "postgres.archive"
MANIFEST = "backup_manifest"
SWITCH_SECONDS = 60
"""A segment that is not full is archived after so long: what a lost machine costs at most."""
SEGMENT_BYTES = 16 << 20
_UNREADABLE = 200
"""Above 125 an exit code of ``restore_command`` ends the recovery; below it says that there is no such file."""
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")
_SUM = ".sha256"
_SEGMENT = re.compile(r"[0-9A-F]{24}")


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


class _Range(
    msgspec.Struct, frozen=True, rename={"timeline": "Timeline", "start": "Start-LSN", "end": "End-LSN"}
):
    timeline: int
    start: str
    end: str


class _Ranges(msgspec.Struct, frozen=True, rename={"ranges": "WAL-Ranges"}):
    """What a manifest says of the WAL its backup needs."""

    ranges: list[_Range] = []


@dataclass(frozen=True, slots=True)
class Timeline:
    """A history of the server: each restore that comes to its end begins another.

    left: where each timeline before it was left; what was written there behind that is abandoned.
    """

    number: int = 1
    left: Mapping[int, int] = field(default_factory=dict)

    def has(self, number: int, position: int) -> bool:
        """Whether a position of a timeline belongs to this history."""
        return number == self.number or position <= self.left.get(number, -1)

    @property
    def began(self) -> tuple[int, int]:
        """The timeline before it and where it was left; (0, 0) for the first."""
        number = max(self.left, default=0)
        return number, self.left.get(number, 0)


def newest_timeline(*folders: Path) -> Timeline:
    """The last timeline that a history file in one of the folders tells of."""
    found = {
        file.name: file
        for folder in folders
        for file in folder.glob("*.history")
        if _HISTORY.fullmatch(file.name)
    }
    if not found:
        return Timeline()
    name = max(found)
    lines = [line.split() for line in found[name].read_text(encoding="utf-8").splitlines()]
    left = {int(words[0]): _position(words[1]) for words in lines if len(words) > 1 and words[0].isdigit()}
    return Timeline(int(name[:8], 16), left)


def _position(text: str) -> int:
    """``0/3000028`` as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def _segment_of(name: str) -> int:
    return (int(name[8:16], 16) << 32) // SEGMENT_BYTES + int(name[16:], 16)


def _whole(path: Path, file: _File) -> bool:
    try:
        return path.stat().st_size == file.size and _holds(path, file.checksum)
    except OSError:
        return False


def _holds(path: Path, checksum: str) -> bool:
    """Whether a file can be read and has this SHA-256."""
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == checksum
    except OSError:
        return False


def _archived(note: Path) -> tuple[str, int] | None:
    """SHA-256 and second (Unix) of what was archived; None for a note nobody can read."""
    try:
        checksum, _, second = note.read_text(encoding="ascii").split()
        return checksum, int(second)
    except (OSError, ValueError):
        return None


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
        """What the server is started with. A segment is there whole and on the disk, or not at all; what it
        must be (SHA-256), and when it was archived, stands beside it."""
        kept, part, told, sums = (
            shlex.quote(str(self.wal / name)) for name in ("%f", ".%f.part", f"%f{_SUM}", f".%f{_SUM}.part")
        )
        note = f"{{ sha256sum < %p && date +%%s; }} > {sums}"
        move = f"sync {part} {sums} && mv {sums} {told} && mv {part} {kept}"
        copy = f"if test -f {kept}; then cmp -s %p {kept}; else cp %p {part} && {note} && {move}; fi"
        return {
            "archive_command": copy,
            "archive_mode": "on",
            "archive_timeout": str(SWITCH_SECONDS),
            "max_wal_senders": "4",
            "wal_level": "replica",
        }

    def restore_command(self) -> str:
        """How a recovering server gets a segment: one that is there and cannot be read ends the recovery."""
        kept = shlex.quote(str(self.wal / "%f"))
        return f"test -e {kept} || exit 1; cp {kept} %p || exit {_UNREADABLE}"

    def prepare(self, account: Account | None) -> None:
        """Make the folders; ``wal`` is the server's with all in it, also what another machine's server wrote.

        Raises StartFailed where its user cannot get to it.
        """
        made = not self.folder.exists()
        for folder in (self.folder, self.wal, self.folder / "base"):
            folder.mkdir(parents=True, exist_ok=True)
        if made:
            self.folder.chmod(0o711 if account is not None else 0o700)
        for folder in (self.wal, self.folder / "base"):
            folder.chmod(0o700)
        if account is None:
            return
        os.chown(self.wal, account.uid, account.gid)
        with os.scandir(self.wal) as files:
            for file in files:
                if file.stat(follow_symlinks=False).st_uid != account.uid:
                    os.chown(file, account.uid, account.gid, follow_symlinks=False)
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

    def damaged_wal(self, name: str, timeline: Timeline, at: dt.datetime | None) -> list[str]:
        """WAL from a base backup on along a timeline, up to a moment or the end, that is not what was archived.

        What an earlier version archived has no sum beside it; of that nothing is known before it is recovered.
        """
        ranges = self._ranges(name)
        begins = min((_position(each.start) // SEGMENT_BYTES for each in ranges), default=0)
        found: list[str] = []
        for file in sorted(self.wal.glob(f"*{_SUM}"), key=lambda each: each.name[8:]):
            segment = file.with_suffix("")
            if not _SEGMENT.fullmatch(segment.name) or not segment.exists():
                continue
            number = _segment_of(segment.name)
            if number < begins or not timeline.has(int(segment.name[:8], 16), number * SEGMENT_BYTES):
                continue
            archived = _archived(file)
            if archived is None or not _holds(segment, archived[0]):
                found.append(segment.name)
            if archived is not None and at is not None and archived[1] > at.timestamp():
                break  # what was committed until then lies before; where the archiver was late, the recovery tells
        return found

    def bases(self) -> list[Base]:
        """Finished base backups, oldest first."""
        files = sorted((self.folder / "base").glob("*.json"))
        found = [msgspec.json.decode(file.read_bytes(), type=Base) for file in files]
        return sorted(found, key=lambda base: base.ended)

    def base_for(self, at: dt.datetime | None, timeline: Timeline | None = None) -> Base | None:
        """The newest base backup that reaches a moment (None: the end) of a timeline (None: any)."""
        return next(
            (
                base
                for base in reversed(self.bases())
                if (at is None or base.ended <= at) and (timeline is None or self._lies_on(base, timeline))
            ),
            None,
        )

    def missed(self, timeline: Timeline, promoted: Timeline) -> str:
        """The newest segment of a timeline when a recovery that began another one ended before it, else ""."""
        own = f"{timeline.number:08X}"
        names = (file.name for file in self.wal.glob(f"{own}*") if _SEGMENT.fullmatch(file.name))
        newest = max(names, default="")
        number, position = promoted.began
        if number != timeline.number:
            return newest or f"{own}.history"
        reached = (position - 1) // SEGMENT_BYTES  # a position is the first byte behind what was recovered
        return newest if newest and reached < _segment_of(newest) else ""

    def _lies_on(self, base: Base, timeline: Timeline) -> bool:
        """False for a backup of what an earlier restore abandoned; a manifest nobody can read is found later."""
        return all(timeline.has(each.timeline, _position(each.end)) for each in self._ranges(base.name))

    def _ranges(self, name: str) -> list[_Range]:
        try:
            return msgspec.json.decode((self.base(name) / MANIFEST).read_bytes(), type=_Ranges).ranges
        except (OSError, msgspec.MsgspecError):
            return []


def choose(data: Path, folder: Path) -> None:
    """From its next start on the installation's server archives there."""
    write_atomically(data / CHOSEN, f"{folder.resolve()}\n")


def chosen(data: Path) -> Archive | None:
    """The archive of an installation; None when none was chosen."""
    try:
        return Archive(Path((data / CHOSEN).read_text(encoding="utf-8").strip()))
    except FileNotFoundError:
        return None
