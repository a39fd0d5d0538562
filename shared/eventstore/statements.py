"""SQLAlchemy Core statements run by the driver itself: compiled once per shape, no engine in between.

SQLAlchemy's own execution costs several times what the driver and the server take for a small statement, and a
list in ``IN`` is another text for every length, which the server must parse and plan anew. Here a statement's
shape (its cache key) is compiled once, a list travels as one array (``= ANY``), and rows are SQLAlchemy's.
A statement that is a constant of its module, its list left open (``database.among``), is not even built again.
What this cannot do (inserts, DDL, changes with parameters apart) is left to the engine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg
from sqlalchemy.engine.result import result_tuple
from sqlalchemy.sql.compiler import OPERATORS
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.selectable import CompoundSelect

SHAPES = 1000
"""Compiled shapes kept per process."""

_RUNS = (sa.Select, CompoundSelect, sa.Update, sa.Delete)


class _ArrayCompiler(PGCompiler_asyncpg):
    """Renders ``x IN (list)`` as ``x = ANY (array)``. lists: per array's bind parameter the list's own."""

    @cached_property
    def lists(self) -> dict[int, BindParameter[Any]]:
        """Filled while compiling."""
        return {}

    def visit_in_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        rendered = self._with_array(binary, "= ANY", kw)
        return rendered or str(
            self._generate_generic_binary(binary, f" {OPERATORS[operator].strip()} ", **kw)
        )

    def visit_not_in_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        rendered = self._with_array(binary, "<> ALL", kw)
        if rendered is not None:
            return f"({rendered})"
        plain: Any = super()
        return str(plain.visit_not_in_op_binary(binary, operator, **kw))

    def _with_array(self, binary: Any, comparison: str, kw: dict[str, Any]) -> str | None:
        right = binary.right
        if not isinstance(right, BindParameter) or not right.expanding or right.literal_execute:
            return None
        if isinstance(right.type, sa.types.TupleType):
            return None
        plain: BindParameter[Any] = right._clone(maintain_key=True)
        plain.expanding = False
        plain.type = _Elements(right.type)
        self.lists[id(plain)] = right
        return f"{binary.left._compiler_dispatch(self, **kw)} {comparison} ({self.process(plain, **kw)})"


class _Elements(sa.types.UserDefinedType[Any]):
    """An array of a type's values; text for strings, as a cast to varchar(n) would cut silently."""

    cache_ok = True

    def __init__(self, element: Any) -> None:
        self.element = element

    def get_col_spec(self, **_: Any) -> str:
        return array_type(self.element)

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        process = self.element._cached_bind_processor(dialect)
        return list if process is None else lambda values: [process(value) for value in values]


class _Dialect(PGDialect_asyncpg):
    """asyncpg's, with lists as arrays."""

    statement_compiler = _ArrayCompiler
    supports_statement_cache = True


DIALECT = _Dialect()  # type: ignore[no-untyped-call]


def array_type(column: Any) -> str:
    """The array type of a column's values."""
    if isinstance(column, sa.String) and not isinstance(column, sa.Enum):
        return "text[]"
    return f"{column.dialect_impl(DIALECT).compile(dialect=DIALECT)}[]"


@dataclass(slots=True)
class Shape:
    """A compiled statement: its text, where each argument comes from, how rows are made."""

    sql: str
    arguments: list[tuple[int, Any]]  # index among the statement's bind parameters, bind processor
    row: Callable[[Any], Any] | None
    results: list[tuple[int, Any]]  # column, result processor

    def values(self, parameters: Sequence[Any], given: Mapping[str, Any]) -> list[Any]:
        """Arguments of one execution. given: by name, for those the statement left open."""
        found = []
        for index, process in self.arguments:
            parameter = parameters[index]
            value = given[parameter.key] if parameter.key in given else _own_value(parameter)
            found.append(value if process is None else process(value))
        return found

    def rows(self, records: Sequence[Any]) -> list[Any]:
        """Records as SQLAlchemy rows."""
        make = self.row
        if make is None:
            return []
        if not self.results:
            return [make(tuple(record)) for record in records]
        made = []
        for record in records:
            values = list(record)
            for column, process in self.results:
                values[column] = process(values[column])
            made.append(make(tuple(values)))
        return made


def _own_value(parameter: Any) -> Any:
    if parameter.required:
        raise sa.exc.InvalidRequestError(f"A value is required for bind parameter {parameter.key!r}")
    return parameter.effective_value


_SHAPES: OrderedDict[Any, Shape | None] = OrderedDict()


def shape_of(
    statement: Any, schemas: Mapping[str | None, str] | None = None
) -> tuple[Shape, Sequence[Any]] | None:
    """How the driver runs a statement, and its bind parameters; None when the engine must.

    schemas: which schema stands for which, as in SQLAlchemy's ``schema_translate_map``.
    """
    if not isinstance(statement, _RUNS):
        return None
    key = statement._generate_cache_key()
    if key is None:
        return None
    place = key.key if schemas is None else (*schemas.items(), key.key)
    try:
        shape = _SHAPES[place]
        _SHAPES.move_to_end(place)
    except KeyError:
        shape = _SHAPES[place] = _compiled(statement, key, schemas)
        if len(_SHAPES) > SHAPES:
            _SHAPES.popitem(last=False)
    return None if shape is None else (shape, key.bindparams)


def _compiled(statement: Any, key: Any, schemas: Mapping[str | None, str] | None) -> Shape | None:
    translation = {"schema_translate_map": schemas, "render_schema_translate": True} if schemas else {}
    compiled = statement._compiler(
        DIALECT,
        cache_key=key,
        column_keys=[],
        for_executemany=False,
        **({"schema_translate_map": None} | translation),
    )
    if compiled.post_compile_params or compiled.literal_execute_params:
        return None
    if getattr(compiled, "insert_prefetch", None) or getattr(compiled, "update_prefetch", None):
        return None
    # By name too: what an UPDATE sets is copied while it is compiled, under the name it had.
    known: dict[Any, int] = {}
    for index, parameter in enumerate(key.bindparams):
        known[parameter.key] = known[id(parameter)] = index
    arguments = []
    for name in compiled.positiontup or ():
        parameter = compiled.binds[name]
        origin = compiled.lists.get(id(parameter), parameter)
        place = known.get(id(origin), known.get(origin.key))
        if place is None:
            return None
        arguments.append((place, parameter.type._cached_bind_processor(DIALECT)))
    columns = compiled._result_columns or []
    if not columns:
        return Shape(str(compiled), arguments, None, [])
    processors = [entry.type._cached_result_processor(DIALECT, None) for entry in columns]
    results = [(number, process) for number, process in enumerate(processors) if process is not None]
    return Shape(str(compiled), arguments, result_tuple([entry.keyname for entry in columns]), results)
