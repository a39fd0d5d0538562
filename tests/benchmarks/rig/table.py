"""What was measured, as a table: Markdown for readers, JSON for machines, and whether each goal was met."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import msgspec


class Goal(msgspec.Struct):
    """One figure with what it should reach. ratio: of medians of interleaved rounds."""

    name: str
    value: float
    goal: str
    met: bool


class Case(msgspec.Struct):
    """One contender of a measure: a rate a round, further figures a round, CPU percent of one core a round."""

    rates: list[float] = []
    figures: dict[str, list[float]] = {}
    cpu: list[dict[str, float]] = []

    def cpu_text(self) -> str:
        """Medians, largest first."""
        names = sorted({name for each in self.cpu for name in each})
        medians = {name: statistics.median(each.get(name, 0.0) for each in self.cpu) for name in names}
        ordered = sorted(medians.items(), key=lambda item: (item[0] == "others", -item[1]))
        return ", ".join(f"{name} {value:.0f}" for name, value in ordered if value >= 1 or name == "others")


class Measure(msgspec.Struct):
    """A measure with its contenders, goals, and whatever went wrong."""

    title: str
    unit: str
    cases: dict[str, Case] = {}
    goals: list[Goal] = []
    faults: list[str] = []
    notes: list[str] = []

    def add(self, name: str, rate: float, cpu: dict[str, float] | None = None, **figures: float) -> None:
        """A round of a contender."""
        case = self.cases.setdefault(name, Case([], {}, []))
        case.rates.append(round(rate, 1))
        for figure, value in figures.items():
            case.figures.setdefault(figure, []).append(value)
        if cpu:
            case.cpu.append(cpu)

    def fault(self, text: str) -> None:
        """Something that must not happen; the measure counts as not met."""
        self.faults.append(text)

    def note(self, text: str) -> None:
        """Something a reader must know."""
        self.notes.append(text)

    def median(self, name: str) -> float:
        """Median rate of a contender."""
        return statistics.median(self.cases[name].rates)

    def median_of(self, name: str, figure: str) -> float:
        """Median of a further figure."""
        return statistics.median(self.cases[name].figures[figure])

    def ratio(self, ours: str, theirs: str, goal: float) -> None:
        """Goal: ours / theirs at least."""
        value = self.median(ours) / max(self.median(theirs), 1e-9)
        self.goals.append(Goal(f"{ours} ÷ {theirs}", round(value, 2), f"≥ {goal:g}", value >= goal))

    def at_least(self, name: str, value: float, goal: float) -> None:
        """Goal: a figure of at least."""
        self.goals.append(Goal(name, round(value, 2), f"≥ {goal:g}", value >= goal))

    def at_most(self, name: str, value: float, goal: float) -> None:
        """Goal: a figure of at most."""
        self.goals.append(Goal(name, round(value, 2), f"≤ {goal:g}", value <= goal))

    @property
    def met(self) -> bool:
        """Every goal met and nothing went wrong."""
        return not self.faults and all(goal.met for goal in self.goals)

    def markdown(self) -> str:
        """The measure as a section."""
        figures = list(dict.fromkeys(name for case in self.cases.values() for name in case.figures))
        heads = [self.unit, "lowest", "highest", *figures, "CPU % of one core"]
        lines = [f"## {self.title}", "", "| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for name, case in self.cases.items():
            cells = [f"{statistics.median(case.rates):,.0f}"]
            cells += [f"{min(case.rates):,.0f}", f"{max(case.rates):,.0f}"]
            cells += [
                f"{statistics.median(case.figures[figure]):,.1f}" if figure in case.figures else ""
                for figure in figures
            ]
            lines.append(f"| {name} | " + " | ".join([*cells, case.cpu_text()]) + " |")
        lines += ["", "| goal | measured | reach | |", "|---|---|---|---|"]
        lines += [
            f"| {goal.name} | {goal.value:,g} | {goal.goal} | {'met' if goal.met else 'NOT MET'} |"
            for goal in self.goals
        ]
        lines += [
            "",
            *(f"- {text}" for text in self.notes),
            *(f"- FAULT: {text}" for text in self.faults),
            "",
        ]
        return "\n".join(lines)


class Table:
    """All measures of a run; written anew after each, so that a run that is cut short leaves what it has."""

    def __init__(self, directory: Path, machine: dict[str, Any]) -> None:
        self.measures: list[Measure] = []
        self.notes: list[str] = []
        self._directory = directory
        self._machine = machine

    def take(self, measure: Measure) -> None:
        """Keep, print and write."""
        self.measures.append(measure)
        print(measure.markdown(), flush=True)
        self.write()

    def note(self, text: str) -> None:
        """Something a reader of the whole table must know."""
        self.notes.append(text)
        print(text, flush=True)
        self.write()

    def write(self) -> None:
        """``bench.md`` and ``bench.json``."""
        self._directory.mkdir(parents=True, exist_ok=True)
        summary = ["# make bench", "", *(f"- {name}: {value}" for name, value in self._machine.items()), ""]
        summary += ["| measure | goal | measured | reach | |", "|---|---|---|---|---|"]
        for measure in self.measures:
            verdict = "" if not measure.faults else " FAULT"
            summary += [
                f"| {measure.title} | {goal.name} | {goal.value:,g} | {goal.goal} | "
                f"{'met' if goal.met else 'NOT MET'}{verdict} |"
                for goal in measure.goals
            ]
        summary += ["", *(f"- {text}" for text in self.notes)]
        parts = ["\n".join(summary) + "\n", *(measure.markdown() for measure in self.measures)]
        (self._directory / "bench.md").write_text("\n".join(parts), encoding="utf-8")
        document = {
            "machine": self._machine,
            "notes": self.notes,
            "measures": [{**msgspec.to_builtins(each), "met": each.met} for each in self.measures],
        }
        (self._directory / "bench.json").write_bytes(msgspec.json.format(msgspec.json.encode(document)))
