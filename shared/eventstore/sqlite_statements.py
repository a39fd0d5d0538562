"""SQLAlchemy Core statements on a driver's SQLite connection: compiled once for each shape, run without an engine.

The engine's way of a statement (event hooks, execution context, cursor result) costs several times what SQLite
does with it, and a simulated campaign runs thousands. Text, parameters and rows are what the engine makes of them.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert

from shared.eventstore.database import Row
from shared.eventstore.upserts import upsert_statement

Parameters = Mapping[str, Any]
_DIALECT: Any = sqlite.dialect(paramstyle="qmark")


class Statements:
    """The compiled statements of one connection. Raises what the engine raises: sqlalchemy.exc.DBAPIError and
    StatementError. reading: while it is set, what writes is refused."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.reading = False
        self._compiled: dict[Any, _Compiled] = {}
        self._lasting: WeakKeyDictionary[Any, dict[Any, tuple[_Compiled, Any]]] = WeakKeyDictionary()
        self._upserts: dict[Any, _Compiled] = {}
        self._amendments: dict[Any, _Compiled] = {}

    def command(self, text: str) -> None:
        """BEGIN, COMMIT, ROLLBACK, PRAGMA."""
        self._connection.execute(text)

    def refuse_to_write(self, text: str) -> None:
        """Raises OperationalError (sqlalchemy.exc) while it only reads."""
        if self.reading:
            _refuse(sqlite3.OperationalError("attempt to write a readonly database"), text)

    def execute(self, statement: Any, parameters: Parameters | None) -> Sequence[Row]:
        """One execution; its rows."""
        values = parameters or {}
        compiled, extracted = self._prepared(statement, tuple(values), many=False)
        if compiled.writes:
            self.refuse_to_write(compiled.text)
        try:
            text, bound = compiled.bind(values, extracted)
            cursor = self._connection.execute(text, bound)
            return compiled.rows(cursor) if cursor.description is not None else []
        except Exception as fault:  # noqa: BLE001 - told as the engine tells it
            _refuse(fault, compiled.text)

    def execute_many(self, statement: Any, rows: Sequence[Parameters]) -> None:
        """One execution for each row; they have the same columns, and nothing is returned."""
        compiled, extracted = self._prepared(statement, tuple(rows[0]), many=True)
        self.refuse_to_write(compiled.text)
        try:
            self._connection.executemany(compiled.text, [compiled.bind(row, extracted)[1] for row in rows])
        except Exception as fault:  # noqa: BLE001 - told as the engine tells it
            _refuse(fault, compiled.text)

    def _prepared(self, statement: Any, columns: tuple[str, ...], *, many: bool) -> tuple[_Compiled, Any]:
        """A statement compiled, and its own parameters. One that lasts (a constant of its module) is found by
        itself; one that was built now, by its shape."""
        lasting = self._lasting.setdefault(statement, {})
        known = lasting.get((columns, many))
        if known is None:
            found = statement._generate_cache_key()
            if found is None:
                compiled, extracted = _compile(statement, list(columns), None, many=many), None
            else:
                extracted, shape = found.bindparams, (found.key, columns, many)
                if shape not in self._compiled:
                    self._compiled[shape] = _compile(statement, list(columns), found, many=many)
                compiled = self._compiled[shape]
            known = lasting[columns, many] = (compiled, extracted)
        return known

    def upsert(
        self,
        table: sa.Table,
        rows: Sequence[Parameters],
        *,
        add: Sequence[str],
        keep: Sequence[str],
        ignore: bool,
    ) -> None:
        """See database.Connection.upsert; the rows are merged."""
        shape = (table, *rows[0], "/", *add, "/", *keep, ignore)
        compiled = self._upserts.get(shape)
        if compiled is None:
            made = upsert_statement(insert(table), table, rows[0], add=add, keep=keep, ignore=ignore)
            compiled = self._upserts[shape] = _compile(made, list(rows[0]), None, many=True)
        self._run_many(compiled, rows)

    def amend(self, table: sa.Table, rows: Sequence[Parameters]) -> None:
        """See database.Connection.amend; the rows are merged."""
        shape = (table, *rows[0])
        compiled = self._amendments.get(shape)
        if compiled is None:
            keys = {column.name for column in table.primary_key.columns}
            mine = sa.and_(*(table.c[name] == sa.bindparam(name, type_=table.c[name].type) for name in keys))
            values = {
                table.c[name]: sa.bindparam(f"new_{name}", type_=table.c[name].type)
                for name in rows[0]
                if name not in keys
            }
            made = sa.update(table).where(mine).values(values)
            compiled = self._amendments[shape] = _compile(made, [], None)
            compiled.names = [
                name.removeprefix("new_") if name not in keys else name for name in compiled.names
            ]
            compiled.processors = {
                name.removeprefix("new_"): process for name, process in compiled.processors.items()
            }
        self._run_many(compiled, rows)

    def _run_many(self, compiled: _Compiled, rows: Sequence[Parameters]) -> None:
        self.refuse_to_write(compiled.text)
        try:
            self._connection.executemany(compiled.text, [compiled.bound(row) for row in rows])
        except Exception as fault:  # noqa: BLE001 - told as the engine tells it
            _refuse(fault, compiled.text)


class _Compiled:
    """A statement's text, and how its parameters are bound and its rows read."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.text: str = compiled.string
        writes = compiled.isinsert or compiled.isupdate or compiled.isdelete
        self.writes = bool(writes) or not self.text.lstrip().upper().startswith(("SELECT", "WITH"))
        self.names: list[str] = list(compiled.positiontup or ())
        self.processors: Mapping[str, Callable[[Any], Any]] = compiled._bind_processors
        self._expanding = bool(compiled.post_compile_params or compiled.literal_execute_params)
        self._lists = [name for name in dict.fromkeys(self.names) if _is_list(compiled, name)]
        self._expansions: dict[tuple[int, ...], tuple[str, list[str], dict[str, Any], Any]] = {}
        self._read: Callable[[Iterable[Any]], Row] | None = None
        self._results: list[Callable[[Any], Any] | None] = []

    def bind(self, values: Parameters, extracted: Any) -> tuple[str, list[Any]]:
        """The text and its parameters in their order."""
        given = self._compiled.construct_params(values, extracted_parameters=extracted, escape_names=False)
        if not self._expanding:
            return self.text, self.bound(given)
        return self._expand(given)

    def bound(self, values: Parameters) -> list[Any]:
        """Parameters in their order."""
        processors = self.processors
        if not processors:
            return [values[name] for name in self.names]
        return [processors[name](values[name]) if name in processors else values[name] for name in self.names]

    def _expand(self, given: dict[str, Any]) -> tuple[str, list[Any]]:
        """``IN`` with as many places as there are values; the text is made once for each number of them."""
        lengths = tuple(len(given[name]) for name in self._lists)
        known = self._expansions.get(lengths) if self._lists else None
        if known is None:
            lists = {name: list(given[name]) for name in self._lists}
            made = self._compiled._process_parameters_for_postcompile(dict(given, **lists))
            processors = {**self.processors, **made.processors}
            known = (made.statement, list(made.positiontup or ()), processors, made.parameter_expansion)
            if not self._lists:
                return known[0], _processed(known[1], processors, made.additional_parameters)
            self._expansions[lengths] = known
        text, names, processors, expansion = known
        for name in self._lists:
            given.update(zip(expansion[name], given[name], strict=True))
        return text, _processed(names, processors, given)

    def rows(self, cursor: sqlite3.Cursor) -> Sequence[Row]:
        """What a statement returned."""
        if self._read is None:
            self._describe(cursor)
        read, results = self._read, self._results
        assert read is not None
        if not results:
            return [read(row) for row in cursor]
        return [
            read([process(value) if process is not None else value for process, value in zip(results, row)])  # noqa: B905 - as many as there are columns
            for row in cursor
        ]

    def _describe(self, cursor: sqlite3.Cursor) -> None:
        columns = self._compiled._result_columns
        names = [each[0] for each in columns] or [each[0] for each in cursor.description]
        found = [each[3]._cached_result_processor(_DIALECT, None) for each in columns]
        self._results = found if any(found) else []
        self._read = _row_type(tuple(names))


def _is_list(compiled: Any, name: str) -> bool:
    """Whether a parameter is a list of plain values; pairs are left to SQLAlchemy, each time anew."""
    parameter = compiled.binds[name]
    return (
        parameter in compiled.post_compile_params
        and not parameter.literal_execute
        and not parameter.type._is_tuple_type
        and not compiled.literal_execute_params
    )


def _processed(names: Sequence[str], processors: Mapping[str, Any], values: Parameters) -> list[Any]:
    return [processors[name](values[name]) if name in processors else values[name] for name in names]


def _compile(statement: Any, columns: list[str], found: Any, *, many: bool = False) -> _Compiled:
    made = statement._compiler(_DIALECT, cache_key=found, column_keys=columns, for_executemany=many)
    if getattr(made, "insert_prefetch", None) or getattr(made, "update_prefetch", None):
        raise sa.exc.InvalidRequestError("columns with defaults of this process are not written here")
    return _Compiled(made)


def _row_type(names: tuple[str, ...]) -> Callable[[Iterable[Any]], Row]:
    """A row of such columns: a tuple with attributes, and ``_mapping``, as the engine's rows are used."""
    made = namedtuple("made", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 - its columns are known when it runs

    class Found(made):
        __slots__ = ()

        @property
        def _mapping(self) -> dict[str, Any]:
            return dict(zip(names, self, strict=True))

    return cast("Callable[[Iterable[Any]], Row]", Found._make)


def _refuse(fault: Exception, text: str) -> NoReturn:
    """As the engine tells of it, without parameters."""
    if isinstance(fault, sqlite3.Error):
        raise sa.exc.DBAPIError.instance(
            text, None, fault, sqlite3.Error, hide_parameters=True, dialect=_DIALECT
        ) from fault
    if isinstance(fault, sa.exc.SQLAlchemyError):
        raise fault
    raise sa.exc.StatementError(
        f"({type(fault).__name__})", text, None, fault, hide_parameters=True
    ) from fault
