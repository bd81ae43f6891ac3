"""C for one day of a model: straight-line bodies inside a loop over the lanes of a block.

Every lane runs the same operations, each rounded as IEEE 754 says and fused multiply-adds written out, so that a
lane's bits depend neither on its place in a vector nor on what the compiler would have liked to contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from phloem.kernels.time_loop.cpu.day_programs import adjoint, forward, tangent, without
from phloem.kernels.time_loop.cpu.preaccumulation import preaccumulate
from phloem.kernels.time_loop.cpu.scalar_graph import BINARY, UNARY, Graph
from phloem.kernels.time_loop.flat_day import Text

SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
           "and": "&", "or": "|"}  # fmt: skip
INVARIANT = frozenset(("constant", "sums_bar"))
"""Kinds of input that stay as they are from day to day."""

INVARIANT_OF_KEPT = frozenset(("constant",))
"""The same where outputs are kept by period, each with an adjoint of its own."""

DOTS = frozenset(("state_dot", "constant_dot", "sum_dot"))
"""Kinds of input that are tangents."""

WEATHERS = ("shared", "spread")
"""A day's body exists for forcing that all lanes of a block share, and for forcing spread over the lanes."""


@dataclass(frozen=True)
class Printed:
    """C text of the bodies of one kernel, and the sizes that the loops need."""

    text: str
    sizes: Mapping[str, int]


def literal(value: float, dtype: np.dtype) -> str:
    """Return a number in C, exact."""
    if np.isnan(value):
        return "((real)NAN)"
    if np.isinf(value):
        return "((real)INFINITY)" if value > 0 else "(-(real)INFINITY)"
    return float(value).hex() + ("f" if dtype == np.float32 else "")


class Writer:
    """Prints nodes of a graph as C statements.

    Args:
        graph: the operations.
        names: C expressions of the nodes that are at hand: inputs, and what was worked out before the loop.
    """

    def __init__(self, graph: Graph, names: Mapping[int, str]) -> None:
        self.graph = graph
        self.names = dict(names)
        self.lines: list[str] = []

    def name(self, node: int) -> str:
        """Return the C expression of a node that has been printed, of an input or a literal."""
        entry = self.graph.nodes[node]
        if entry.op == "literal" and node not in self.names:
            return str(int(entry.value)) if entry.truth else literal(entry.value, self.graph.dtype)
        return self.names[node]

    def write(self, outputs: Iterable[int], totals: Mapping[int, str] | None = None) -> None:
        """Print what the outputs rest on and is not at hand.

        Args:
            outputs: nodes.
            totals: the array element that each running total among the outputs replaces. A total is printed and
                stored as soon as the day's contribution to it is known, so that it takes up no register.
        """
        nodes, totals = self.graph.nodes, totals or {}
        order = [n for n in self.graph.needed(outputs, self.names) if n not in self.names]
        todo = set(order)
        waiting: dict[int, list[int]] = {}
        for n in totals:
            waiting.setdefault(max((a for a in nodes[n].args if a in todo), default=-1), []).append(n)
        for n in waiting.get(-1, []):
            self._store(n, totals[n])
        for n in order:
            if n not in totals:
                self._print(n)
            for total in waiting.get(n, []):
                self._store(total, totals[total])

    def _print(self, n: int) -> None:
        kind = "int" if self.graph.nodes[n].truth else "real"
        self.lines.append(f"const {kind} t{n} = {self._expression(n)};")
        self.names[n] = f"t{n}"

    def _store(self, n: int, where: str) -> None:
        if self.graph.nodes[n].args:
            self._print(n)
        if self.names[n] != where:
            self.lines.append(f"{where} = {self.name(n)};")

    def _expression(self, n: int) -> str:
        node = self.graph.nodes[n]
        args = [self.name(a) for a in node.args]
        if node.op in SYMBOLS:
            return f"{args[0]} {SYMBOLS[node.op]} {args[1]}"
        if node.op == "select":
            return f"{args[0]} ? {args[1]} : {args[2]}"
        if node.op == "neg":
            return f"-{args[0]}"
        if node.op == "not":
            return f"!{args[0]}"
        if node.op == "reciprocal":
            return f"(real)1 / {args[0]}"
        if node.op == "fma":
            return f"FMA({', '.join(args)})"
        if node.op in ("max", "min"):
            return self._extreme(node.op, node.args)
        if node.op in UNARY or node.op in BINARY:
            return f"{node.op}_({', '.join(args)})"
        raise AssertionError(f"no C for {node.op}")

    def _extreme(self, op: str, args: Sequence[int]) -> str:
        """Return a maximum or minimum that is NaN where either argument is."""
        sign = ">" if op == "max" else "<"
        a, b = args
        if self.graph.number(a) is not None:
            a, b = b, a
        x, y = self.name(a), self.name(b)
        if self.graph.number(b) is not None:
            return f"{y} {sign} {x} ? {y} : {x}"
        return f"{x} {sign} {y} || {x} != {x} ? {x} : {y}"


def _lanes(kind: str) -> str:
    """Return the C name of an input array, by kind."""
    return {"state": "s", "constant": "c", "weather": "w", "observed": "o", "state_bar": "sb", "sums_bar": "mb",
            "daily_bar": "db",
            "state_dot": "dot->sd", "constant_dot": "dot->cd", "sum": "a", "constant_bar": "cb",
            "sum_dot": "dot->ad"}[kind]  # fmt: skip


def _input_names(graph: Graph, weather: str) -> dict[int, str]:
    names = {}
    for number, node in enumerate(graph.nodes):
        if node.op == "input":
            alone = node.kind in ("weather", "observed") and weather == "shared"
            names[number] = f"{_lanes(node.kind)}[{node.index}]" + ("" if alone else "[l]")
    return names


class Hoist:
    """What is worked out once a call and lane, because it rests on constants (and adjoints of sums) alone.

    The bodies of one kernel share one graph and one table.

    Args:
        graph: the operations.
        invariant: kinds of input that stay as they are from day to day.
    """

    def __init__(self, graph: Graph, invariant: frozenset[str] = INVARIANT) -> None:
        self.graph = graph
        self.invariant = invariant
        self.rows: dict[int, int] = {}

    def holds(self, node: int) -> bool:
        """Return whether a node is one that this table may hold."""
        return self.graph.nodes[node].depends <= self.invariant and bool(self.graph.nodes[node].args)

    def names(self, outputs: Sequence[int], known: Iterable[int] = ()) -> dict[int, str]:
        """Return the C names of the invariant nodes that are read by others, after adding them to the table."""
        graph = self.graph
        known = set(known)
        wanted = {n for n in outputs if self.holds(n)}
        for n in graph.needed(outputs, known):
            if not self.holds(n):
                wanted.update(a for a in graph.nodes[n].args if self.holds(a))
        wanted -= known
        for n in sorted(wanted):
            self.rows.setdefault(n, len(self.rows))
        return {n: self._name(n) for n in wanted}

    def _name(self, node: int) -> str:
        """Return the C name of a node in the table, which holds numbers: true or false stands there as 1 or 0."""
        name = f"h[{self.rows[node]}][l]"
        return f"({name} != 0)" if self.graph.nodes[node].truth else name

    def function(self, name: str, arguments: str) -> str:
        """Return the C function that fills the table."""
        writer = Writer(self.graph, _input_names(self.graph, "spread"))
        writer.write(self.rows)
        stores = [f"h[{row}][l] = {writer.name(n)};" for n, row in self.rows.items()]
        return _function(name, arguments, [*writer.lines, *stores])


def _function(name: str, arguments: str, lines: Sequence[str]) -> str:
    body = "\n    ".join(lines)
    head = f"static INLINE void {name}({arguments.replace(' *', ' *restrict ')})"
    return f"{head} {{\n  LANES for (int l = 0; l < B; ++l) {{\n    {body}\n  }}\n}}\n"


def _weather_arguments(weather: str) -> str:
    if weather == "shared":
        return "const real *w, const real *o"
    return "const lanes *w, const lanes *o"


BLOCK = "const lanes *c, const lanes *h"
BARS = "lanes *sb, const lanes *mb, lanes *cb"


def _days(text: Text, graph: Graph, outputs: Sequence[int], known: Iterable[int] = ()) -> dict[str, list[int]]:
    """Return outputs with their products fused, for each kind of day (see `_kinds`).

    The fusing is settled on the full text, so that all round alike: of which kind a day is depends on the other cells
    in the table.
    """
    full = graph.fuse(outputs, known, _invariant(text))
    return {kind: without(graph, full, places) for kind, places in _kinds(text).items()}


def _kinds(text: Text) -> dict[str, list[int]]:
    """Return the observations that are 0, by kind of day.

    On a `marked` day all may differ from 0, on a `seen` day not the rare ones, on an `unseen` day none. Outputs
    that are kept read no observation.
    """
    if text.kept:
        return {"unseen": list(range(text.observed))}
    kinds: dict[str, list[int]] = {"marked": []} if text.rare else {}
    return {**kinds, "seen": text.rare, "unseen": list(range(text.observed))}


def _invariant(text: Text) -> frozenset[str]:
    return INVARIANT_OF_KEPT if text.kept else INVARIANT


def _totals(graph: Graph, kind: str, contributions: Sequence[int]) -> list[int]:
    """Return nodes of totals with the day's contributions added; a contribution that is always 0 adds nothing."""
    return [graph.apply("add", graph.input(kind, i), n) for i, n in enumerate(contributions)]


def value_bodies(text: Text, dtype: Any) -> Printed:
    """Print `value_day_{shared,spread}_{kind}` and `hoist`."""
    graph = Graph(dtype)
    hoist, parts = Hoist(graph), []
    program = forward(text, graph)
    bodies = _days(text, graph, [*program.state, *_totals(graph, "sum", program.sums), *program.daily])
    sums = text.states + text.sums
    for (seen, outputs), weather in product(bodies.items(), WEATHERS):
        writer = Writer(graph, _input_names(graph, weather) | hoist.names(outputs))
        writer.write(outputs, _rows("a", outputs[text.states : sums]))
        writer.lines += [f"y[{row}][l] = {writer.name(n)};" for row, n in enumerate(outputs[sums:])]
        writer.lines += _stores("s", range(text.states), outputs[: text.states], writer)
        arguments = f"{_weather_arguments(weather)}, lanes *s, {BLOCK}, lanes *a{', lanes *y' if text.daily else ''}"
        parts.append(_function(f"value_day_{weather}_{seen}", arguments, writer.lines))
    return _printed(text, hoist, parts, {})


def adjoint_bodies(text: Text, dtype: Any, last: bool) -> Printed:
    """Print `again_day_{shared,spread}`, `adjoint_day_{shared,spread}_{kind}` and `hoist`."""
    graph = Graph(dtype)
    hoist, parts = Hoist(graph, _invariant(text)), []
    program = adjoint(text, graph, last)
    saved = {n: f"r[{row}][l]" for row, n in enumerate(program.saved)}
    totals = _totals(graph, "constant_bar", program.constants)
    bodies = _days(text, graph, [*program.state, *totals], saved)
    daily = ", const lanes *db" if text.daily else ""
    for (seen, outputs), weather in product(bodies.items(), WEATHERS):
        writer = Writer(graph, _input_names(graph, weather) | hoist.names(outputs, saved) | saved)
        writer.write(outputs, _rows("cb", outputs[len(program.active) :]))
        writer.lines += _stores("sb", program.active, outputs, writer)
        arguments = f"{_weather_arguments(weather)}, const lanes *s, const lanes *r, {BLOCK}, {BARS}{daily}"
        parts.append(_function(f"adjoint_day_{weather}_{seen}", arguments, writer.lines))
    ahead = graph.fuse([*program.next_state, *program.saved], (), _invariant(text))
    at_hand = hoist.names(ahead)
    for weather in WEATHERS:
        writer = Writer(graph, _input_names(graph, weather) | at_hand)
        writer.write(ahead)
        targets = [*(f"n[{i}][l]" for i in range(text.states)), *saved.values()]
        writer.lines += [f"{target} = {writer.name(n)};" for target, n in zip(targets, ahead, strict=True)]
        arguments = f"{_weather_arguments(weather)}, const lanes *s, {BLOCK}, lanes *r, lanes *n"
        parts.append(_function(f"again_day_{weather}", arguments, writer.lines))
    return _printed(text, hoist, parts, {"NR": max(1, len(saved))}, "" if text.kept else "const lanes *mb, ")


def _rows(array: str, totals: Sequence[int]) -> dict[int, str]:
    """Return the array element of each running total."""
    return {n: f"{array}[{i}][l]" for i, n in enumerate(totals)}


def _stores(array: str, rows: Sequence[int], nodes: Sequence[int], writer: Writer) -> list[str]:
    """Return the stores of an array's new rows; a row that stays as it is is not written.

    What moves from one row to another is taken up before the first store.
    """
    stores = [(f"{array}[{i}][l]", writer.name(n)) for i, n in zip(rows, nodes, strict=False)]
    stores = [(row, value) for row, value in stores if row != value]
    moved = {value: f"m{i}" for i, (_, value) in enumerate(stores) if value.startswith(f"{array}[")}
    taken = [f"const real {name} = {value};" for value, name in moved.items()]
    return taken + [f"{row} = {moved.get(value, value)};" for row, value in stores]


def _printed(text: Text, hoist: Hoist, parts: list[str], sizes: dict[str, int], extra: str = "") -> Printed:
    hoisted = hoist.function("hoist", f"const lanes *c, {extra}lanes *h")
    marked = sum(1 << i for i in text.rare)
    sizes = {"RARE": marked, "NC": text.constants, "NS": text.states, "NW": text.weather, "NO": text.observed,
             "NM": text.sums, "ND": len(text.daily), "NH": max(1, len(hoist.rows)), **sizes}  # fmt: skip
    return Printed("\n".join([hoisted, *parts]), sizes)


def tangent_bodies(text: Text, dtype: Any) -> Printed:
    """Print `primal_day_{shared,spread}_{kind}`, `tangent_day_{kind}` and `hoist`."""
    graph = Graph(dtype)
    hoist, parts = Hoist(graph), []
    program = tangent(text, graph)
    linear = preaccumulate(graph, [*program.state, *program.sums], DOTS)
    outputs = graph.fuse([*linear[: text.states], *_totals(graph, "sum_dot", linear[text.states :])])
    factors = {
        a for n in graph.needed(outputs) if _moves(graph, n) for a in graph.nodes[n].args if not _moves(graph, a)
    }
    kept = sorted(n for n in factors if not graph.nodes[n].depends <= INVARIANT)
    at_hand = hoist.names(sorted(n for n in factors if graph.nodes[n].depends))
    for kind, nodes in _days(text, graph, [*program.next_state, *kept]).items():
        states, values = nodes[: text.states], dict(zip(kept, nodes[text.states :], strict=True))
        moved = graph.substitute(outputs, {n: v if graph.nodes[v].op == "literal" else n for n, v in values.items()})
        read = graph.used(moved, kept)
        rows = {n: f"q[{row}][l]" for row, n in enumerate(kept) if n in read}
        now = [values[n] for n in rows]
        for weather in WEATHERS:
            writer = Writer(graph, _input_names(graph, weather) | hoist.names([*states, *now]))
            writer.write([*states, *now])
            writer.lines += [f"{name} = {writer.name(n)};" for name, n in zip(rows.values(), now, strict=True)]
            writer.lines += _stores("s", range(text.states), states, writer)
            arguments = f"{_weather_arguments(weather)}, lanes *s, {BLOCK}, lanes *q"
            parts.append(_function(f"primal_day_{weather}_{kind}", arguments, writer.lines))
        writer = Writer(graph, _input_names(graph, "spread") | at_hand | rows)
        writer.write(moved, _rows("dot->ad", moved[text.states :]))
        writer.lines += _stores("dot->sd", range(text.states), moved, writer)
        parts.append(_function(f"tangent_day_{kind}", f"const lanes *q, {BLOCK}, Dot *dot", writer.lines))
    return _printed(text, hoist, parts, {"NQ": max(1, len(kept))})


def _moves(graph: Graph, node: int) -> bool:
    return bool(graph.nodes[node].depends & DOTS)
