"""``asyncapi``: the published messages described for machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.output import Json, show_json
from shared.messaging.asyncapi import asyncapi, asyncapi_yaml


def asyncapi_command(
    out_file: Annotated[Path | None, typer.Option("--out", help="写入文件 / write it there")] = None,
    as_json: Json = False,
) -> None:
    """已发布消息的 AsyncAPI 3.1 文档 / AsyncAPI 3.1 of every published message."""
    if out_file is not None:
        out_file.write_text(asyncapi_yaml(), encoding="utf-8")
    if as_json:
        show_json(asyncapi())
    elif out_file is None:
        print(asyncapi_yaml(), end="")
