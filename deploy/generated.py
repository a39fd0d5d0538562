"""Files that are made from the code and kept beside it: written, or compared with what is kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_or_compare(
    title: str, folder: Path, pattern: str, wanted: Mapping[str, str], arguments: Sequence[str] | None = None
) -> int:
    """The command line of a generator: writes ``wanted`` (file name -> text), with ``--check`` only compares it
    with the files of the pattern. Answers the exit code: 1 when they differ."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--check", action="store_true", help="只比较 / compare only")
    if parser.parse_args(arguments).check:
        known = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(pattern)}
        differing = sorted(
            name for name in wanted.keys() | known.keys() if wanted.get(name) != known.get(name)
        )
        for name in differing:
            print(f"不一致 / differs: {name}", file=sys.stderr)
        return 1 if differing else 0
    folder.mkdir(exist_ok=True)
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0
