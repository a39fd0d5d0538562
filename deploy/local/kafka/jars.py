"""The broker's jars: fetched once with Maven into a cache, and what is needed for that."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from deploy.local.processes import StartFailed

JAVA_NEEDED = 17
FETCH_SECONDS = 300
_VERSION = re.compile(r'version "(\d+)')


def java() -> str | None:
    """The Java to run: that of JAVA_HOME, else the one on the path."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    return shutil.which("java")


def java_version(command: str) -> int:
    """Feature release, e.g. 17; 0 when the command does not say."""
    try:
        said = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(said.stderr + said.stdout)
    return int(match[1]) if match else 0


def missing_tools() -> str | None:
    """What keeps Kafka from starting here, in one sentence; None when nothing does."""
    command = java()
    if command is None or java_version(command) < JAVA_NEEDED:
        return f"Kafka needs Java {JAVA_NEEDED} or newer: `make kafka-deps` installs it"
    if shutil.which("mvn") is None and not jar_directory().is_dir():
        return "Kafka's jars are fetched with Maven, which is missing: `make kafka-deps` installs it"
    return None


def pom() -> str:
    return resources.files("deploy.local.kafka").joinpath("pom.xml").read_text(encoding="utf-8")


def jar_directory() -> Path:
    """Where the jars of this pom are kept: LIANGXIAN_CACHE, XDG_CACHE_HOME or ~/.cache."""
    chosen = os.environ.get("LIANGXIAN_CACHE")
    base = (
        Path(chosen)
        if chosen
        else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liangxian"
    )
    return base / f"kafka-{hashlib.sha256(pom().encode()).hexdigest()[:12]}"


def fetch_jars() -> Path:
    """The directory with the broker's jars; 44 MB are fetched the first time.

    Raises StartFailed with Maven's words. Two fetches at once end with one directory: each
    renames its own into place and the later one finds it there.
    """
    libs = jar_directory()
    if libs.is_dir():
        return libs
    libs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libs.parent, prefix="fetching-") as scratch:
        place = Path(scratch)
        (place / "pom.xml").write_text(pom(), encoding="utf-8")
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={place / 'libs'}", "-DincludeScope=runtime"]
        try:
            done = subprocess.run(
                command, cwd=place, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StartFailed(f"Maven could not fetch Kafka's jars: {error}") from error
        if done.returncode != 0:
            raise StartFailed(f"Maven could not fetch Kafka's jars:\n{(done.stdout + done.stderr)[-2000:]}")
        try:
            (place / "libs").rename(libs)
        except OSError:
            if not libs.is_dir():
                raise
    return libs
