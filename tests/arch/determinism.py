"""Bans time, ids, randomness and task starts outside the ports, and floats where money is.

``python -m tests.arch.determinism services shared deploy`` prints ``file:line: what`` and exits 1
when it finds any. One seed replays a history only if nothing asks the operating system
(architecture §5, Determinism); money is integer fen.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PORTS = ("shared/kernel/clock.py",)
EDGES = (
    "deploy/local/",  # processes of the operating system
    "deploy/docker/",  # preparation of containers
    "deploy/cli/",  # a person's terminal
    "deploy/audit/",  # reads a running system from outside
    "deploy/load/",  # the load generator: the outside world in a hurry
    "deploy/rehearsal/",  # the outside world, with generators seeded by itself
)
BANNED = {
    "datetime.datetime.now": "ask shared.kernel.clock.Clock",
    "datetime.datetime.utcnow": "ask shared.kernel.clock.Clock",
    "datetime.datetime.today": "ask shared.kernel.clock.Clock",
    "datetime.date.today": "ask shared.kernel.clock.Clock",
    "time.time": "Runtime.timestamp",
    "time.time_ns": "Runtime.timestamp",
    "time.sleep": "await Runtime.sleep",
    "time.monotonic": "Runtime.monotonic",
    "time.monotonic_ns": "Runtime.monotonic",
    "time.perf_counter": "Runtime.monotonic",
    "time.perf_counter_ns": "Runtime.monotonic",
    "asyncio.sleep": "await Runtime.sleep",
    "asyncio.create_task": "Runtime.start",
    "asyncio.ensure_future": "Runtime.start",
    "asyncio.TaskGroup": "Runtime.start",
    "os.urandom": "Runtime.random_bytes",
    "os.getrandom": "Runtime.random_bytes",
    "threading.Thread": "Runtime.start",
    "threading.Timer": "Runtime.start",
}
BANNED_MODULES = {
    "uuid": "Runtime.new_id or Runtime.random_id",
    "random": "Runtime.random_bytes",
    "secrets": "Runtime.random_bytes; hmac.compare_digest compares",
}
TASK_STARTS = {"create_task", "ensure_future"}
MONEY = re.compile(r"(^|_)(fen|yuan|amount|money)$")


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """A place that breaks a rule. what: the name and what to use instead."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


class Names(ast.NodeVisitor):
    """Local name -> dotted origin, from the imports of a whole module (also those inside functions)."""

    def __init__(self) -> None:
        self.origin: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self.origin[name] = alias.name if alias.asname else name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.origin[alias.asname or alias.name] = f"{node.module}.{alias.name}"


def dotted(node: ast.expr, origin: dict[str, str]) -> str | None:
    """``dt.datetime.now`` -> ``datetime.datetime.now`` after ``import datetime as dt``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in origin:
        return None
    return ".".join([origin[node.id], *reversed(parts)])


def is_money(node: ast.AST) -> bool:
    """A name, attribute, argument or call whose last word says money, such as ``due_fen``."""
    if isinstance(node, ast.Name):
        return MONEY.search(node.id) is not None
    if isinstance(node, ast.Attribute):
        return MONEY.search(node.attr) is not None
    if isinstance(node, ast.arg):
        return MONEY.search(node.arg) is not None
    return isinstance(node, ast.Call) and is_money(node.func)


def mentions_float(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    return any(isinstance(node, ast.Name) and node.id == "float" for node in ast.walk(annotation))


def is_float(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float)


def is_set(node: ast.expr) -> bool:
    """A set display, comprehension or ``set(...)``: its order of strings is salted per process."""
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("set", "frozenset")
    )


def undetermined(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Uses of the operating system's time, entropy and tasks, and orders that a salt decides."""
    names = Names()
    names.visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node)
        elif isinstance(node, ast.Attribute | ast.Name):
            yield from _use(node, names.origin)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash":
            yield node.lineno, "hash(): salted per process; use hashlib or the partitioner"
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) and is_set(node.iter):
            yield node.iter.lineno, "iterating a set: its order is salted per process; sort it"


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[int, str]]:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    for module in modules:
        if module in BANNED_MODULES:
            yield node.lineno, f"{module}: {BANNED_MODULES[module]}"
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            if name in BANNED:
                yield node.lineno, f"{name}: {BANNED[name]}"


def _use(node: ast.Attribute | ast.Name, origin: dict[str, str]) -> Iterator[tuple[int, str]]:
    name = dotted(node, origin)
    if name in BANNED and isinstance(node, ast.Attribute):
        yield node.lineno, f"{name}: {BANNED[name]}"
    elif isinstance(node, ast.Attribute) and node.attr in TASK_STARTS:
        yield node.lineno, f"{node.attr}: Runtime.start"


def annotated(node: ast.AST) -> ast.expr | None:
    """The annotation of a name, argument or result that says money; None for any other node."""
    if isinstance(node, ast.AnnAssign) and is_money(node.target):
        return node.annotation
    if isinstance(node, ast.arg) and is_money(node):
        return node.annotation
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and MONEY.search(node.name):
        return node.returns
    return None


def inexact_money(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Floats and true division on names that say money."""
    for node in ast.walk(tree):
        if mentions_float(annotated(node)):
            yield getattr(node, "lineno", 0), "money annotated as float: integer fen"
        elif isinstance(node, ast.BinOp):
            operands = (node.left, node.right)
            inexact = isinstance(node.op, ast.Div) or any(map(is_float, operands))
            if inexact and any(map(is_money, operands)):
                yield node.lineno, "true division or a float on money: // and a named rounding"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            if any(is_money(argument) for argument in node.args):
                yield node.lineno, "float() of money: integer fen"
        elif isinstance(node, ast.keyword) and node.arg and MONEY.search(node.arg) and is_float(node.value):
            yield node.value.lineno, "a float given as money: integer fen"


def findings(source: str, path: str) -> list[Finding]:
    """What a file breaks; ``path`` is relative to the checkout and decides what it may do."""
    tree = ast.parse(source, filename=path)
    found = list(inexact_money(tree))
    if path not in PORTS and not path.startswith(EDGES):
        found += undetermined(tree)
    return sorted({Finding(path, line, what) for line, what in found})


def files(roots: Sequence[str], base: Path) -> Iterator[Path]:
    for root in roots:
        yield from sorted((base / root).rglob("*.py"))


def main(roots: Sequence[str], base: Path) -> int:
    """Print what is found; 1 when there is any, 2 when no file was looked at."""
    looked = 0
    bad = 0
    for path in files(roots, base):
        looked += 1
        for finding in findings(path.read_text(encoding="utf-8"), path.relative_to(base).as_posix()):
            bad += 1
            print(finding)
    if looked == 0:
        print(f"no Python file under {', '.join(roots)}")
        return 2
    print(f"determinism: {looked} files, {bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
