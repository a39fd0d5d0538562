"""Whatever number or day comes in has bounds (shared.kernel.bounds): nothing can be in the log that a column, a time
zone or a sum cannot take."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from shared.testing.service import memory_service
from shared.web.import_rows import LARGEST

SERVICES = ("registration", "collection", "subsidy", "notification")
LARGEST_POSITION = 2**63
"""As JSON has it, which rounds the largest of 64 bits up."""


def schemas(operation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and schema of all that a caller sends."""
    for parameter in operation.get("parameters", ()):
        yield parameter["name"], parameter["schema"]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield media, content.get("schema", {})


def faults(
    document: Mapping[str, Any], schema: Mapping[str, Any], at: str, above: tuple[str, ...] = ()
) -> Iterator[str]:
    """Where a number or day has no bounds."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in above:
            yield from faults(document, document["components"]["schemas"][name], at, (*above, name))
        return
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from faults(document, each, at, above)
    for name, each in schema.get("properties", {}).items():
        yield from faults(document, each, f"{at}.{name}", above)
    if isinstance(schema.get("items"), Mapping):
        yield from faults(document, schema["items"], f"{at}[]", above)
    if schema.get("type") in ("integer", "number"):
        largest = schema.get("maximum", schema.get("exclusiveMaximum"))
        if largest is None or largest > LARGEST_POSITION:
            yield f"{at}: no largest number"
    if schema.get("format") in ("date", "date-time") and "formatMaximum" not in schema:
        yield f"{at}: any day"


def row_faults(row: Any, at: str) -> Iterator[str]:
    """Where a number of an upload's row may be larger than its column: beyond 32 bits unless it is money. Days are
    looked at in every row."""
    if isinstance(row, msgspec.inspect.StructType):
        for field in row.fields:
            yield from row_faults(field.type, f"{at}.{field.name}")
    elif isinstance(row, msgspec.inspect.UnionType):
        for each in row.types:
            yield from row_faults(each, at)
    elif isinstance(row, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        yield from row_faults(row.item_type, f"{at}[]")
    elif isinstance(row, msgspec.inspect.IntType):
        largest = row.le if row.le is not None else row.lt
        if largest is None or largest > LARGEST:
            yield f"{at}: no largest number"


@pytest.mark.parametrize("name", SERVICES)
async def test_numbers_and_days_that_come_in_have_bounds(name: str) -> None:
    """Queries, bodies, and the rows of every kind of upload."""
    found: list[str] = []
    seen = 0
    async with memory_service(importlib.import_module(f"services.{name}.app").SERVICE) as service:
        document = service.app.openapi()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                for where, schema in schemas(operation):
                    seen += 1
                    found += faults(document, schema, f"{method} {path} {where}")
        for kind in service.ports.imports.kinds:
            found += row_faults(msgspec.inspect.type_info(kind.row_type), kind.name)
    assert found == []
    assert seen > 20
