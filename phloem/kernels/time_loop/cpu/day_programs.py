"""A day of a model as straight-line programs: forward, adjoint, and a block of tangents.

Each program is traced once with JAX from the model text (so every derivative is JAX's own) and read into a `Graph`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from phloem.kernels.time_loop.cpu.scalar_graph import Graph
from phloem.kernels.time_loop.flat_day import Text

COSTS = {"exp": 18, "sqrt": 8, "reciprocal": 8, "max": 2, "min": 2, "neg": 0} | dict.fromkeys(
    ("add", "sub", "mul", "select", "abs", "and", "or", "not", "lt", "le", "gt", "ge", "eq", "ne"), 1
)
"""Vector instructions of an operation, about; one that is not named is a call to the C library."""

CALL = 100
SAVING = 4
"""Instructions that reading a number back from the segment's recomputation must save, to be worth its store."""


@dataclass(frozen=True)
class ForwardDay:
    """One day forward.

    Attributes:
        state: nodes of the next state.
        sums: nodes of the contributions to the sums.
        daily: nodes of the outputs that are kept beside them.
    """

    state: list[int]
    sums: list[int]
    daily: list[int]


@dataclass(frozen=True)
class AdjointDay:
    """One day backward, given the state at the day's start.

    Attributes:
        next_state: nodes of the next state, for the recomputation of a segment.
        active: states whose adjoint can differ from 0.
        state: nodes of the adjoints of the day's first state, one an active state.
        constants: nodes of the day's contributions to the adjoints of the constants.
        saved: nodes that the recomputation keeps for the way back.
    """

    next_state: list[int]
    active: list[int]
    state: list[int]
    constants: list[int]
    saved: list[int]


@dataclass(frozen=True)
class TangentDay:
    """One day forward with a tangent.

    Attributes:
        next_state: nodes of the next state.
        state: nodes of the tangents of the next state.
        sums: nodes of the tangents of the contributions to the sums.
    """

    next_state: list[int]
    state: list[int]
    sums: list[int]


def _scalars(text: Text, dtype: Any) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    scalar = jax.ShapeDtypeStruct((), dtype)
    return [scalar] * text.states, [scalar] * text.constants, [scalar] * text.weather, [scalar] * text.observed


def _day(text: Text, graph: Graph) -> list[int]:
    return [
        *graph.inputs("state", text.states),
        *graph.inputs("constant", text.constants),
        *graph.inputs("weather", text.weather),
        *graph.inputs("observed", text.observed),
    ]


def without(graph: Graph, nodes: Sequence[int], places: Sequence[int]) -> list[int]:
    """Return nodes on a day on which some observations or weights are 0: what these multiply drops out.

    Only what adds or multiplies an exact 0 is left out, so that the bits are those of the full text as long as the
    lane's numbers are finite (0 times infinity is not 0).

    Args:
        graph: of the nodes.
        nodes: of the full text.
        places: of the observations that are 0.
    """
    return graph.substitute(nodes, {graph.input("observed", i): graph.literal(0.0) for i in places})


def _live(text: Text, graph: Graph, outputs: Sequence[int]) -> set[int]:
    """Return the states that matter: all where the last state is wanted, else those that a sum depends on."""
    if text.last:
        return set(range(text.states))

    def read_by(nodes: Sequence[int]) -> set[int]:
        return {i for i, s in enumerate(graph.inputs("state", text.states)) if s in graph.reached(nodes)}

    live = read_by(outputs[text.states :])
    while (more := live | read_by([outputs[i] for i in live])) != live:
        live = more
    return live


def forward(text: Text, graph: Graph) -> ForwardDay:
    """Add one day forward to a graph.

    Args:
        text: the model text.
        graph: where the operations go; its type is that of the trace.
    """
    closed = jax.make_jaxpr(text.day)(*_scalars(text, graph.dtype))
    outputs = graph.read(closed, _day(text, graph), text.model.name)
    live = _live(text, graph, outputs)
    state = [n if i in live else graph.input("state", i) for i, n in enumerate(outputs[: text.states])]
    sums = text.states + text.sums
    return ForwardDay(state, outputs[text.states : sums], outputs[sums:])


def adjoint(text: Text, graph: Graph, last: bool) -> AdjointDay:
    """Add one day backward to a graph.

    Args:
        text: the model text.
        graph: where the operations go.
        last: whether the last state has an adjoint. Without one, a state that no sum depends on has none either, and
            its adjoint code drops out.
    """
    state, constants, weather, observations = _scalars(text, graph.dtype)
    scalar = jax.ShapeDtypeStruct((), graph.dtype)

    def back(s: Any, c: Any, w: Any, o: Any, state_bar: Any, sums_bar: Any) -> Any:
        _, pull = jax.vjp(lambda s, c: text.day(s, c, w, o), s, c)
        return pull((state_bar, sums_bar))

    bars = ([scalar] * text.states, [scalar] * (text.sums + len(text.daily)))
    closed = jax.make_jaxpr(back)(state, constants, weather, observations, *bars)

    def read(graph: Graph, active: Sequence[int]) -> list[int]:
        bar = [graph.input("state_bar", i) if i in active else graph.literal(0.0) for i in range(text.states)]
        kept_bars = [*graph.inputs("sums_bar", text.sums), *graph.inputs("daily_bar", len(text.daily))]
        inputs = [*_day(text, graph), *bar, *kept_bars]
        return graph.read(closed, inputs, text.model.name)

    active: tuple[int, ...] = tuple(range(text.states)) if last else ()
    while not last:
        trial = Graph(graph.dtype)
        outputs = read(trial, active)
        grown = tuple(sorted({*active, *(i for i in range(text.states) if trial.number(outputs[i]) != 0.0)}))
        if grown == active:
            break
        active = grown
    outputs = read(graph, active)
    bars_out = [outputs[i] for i in active]
    saved = _worth_saving(graph, [*bars_out, *outputs[text.states :]])
    return AdjointDay(forward(text, graph).state, list(active), bars_out, outputs[text.states :], saved)


def _worth_saving(graph: Graph, outputs: Sequence[int]) -> list[int]:
    """Return the numbers of a day that the way back should read instead of working them out again; greedily."""
    candidates = {n for n in graph.needed(outputs) if _of_the_day(graph, n) and not graph.nodes[n].truth}
    saved: set[int] = set()
    while candidates:
        spared = _spared(graph, outputs, saved)
        best = min(candidates, key=lambda n: (-spared[n], n))
        if spared[best] < SAVING:
            break
        saved.add(best)
        candidates &= set(graph.needed(outputs, saved))
    return sorted(graph.used(outputs, saved))


def _spared(graph: Graph, outputs: Sequence[int], known: set[int]) -> dict[int, int]:
    """Return for each needed operation the instructions that are spared where its number is known too.

    These are its own and those of all that is needed for it alone: what it dominates on the ways from the outputs.
    An operation's immediate dominator is where the ways to all that read it come together last.
    """
    needed = graph.needed(outputs, known)
    top = -1  # reads the outputs
    readers: dict[int, list[int]] = {n: [] for n in needed}
    for n in outputs:
        if n in readers:
            readers[n].append(top)
    for n in needed:
        for a in graph.nodes[n].args:
            if a in readers:
                readers[a].append(n)
    above, depth = {top: top}, {top: 0}
    for n in reversed(needed):
        meeting, *others = readers[n]
        for other in others:
            while meeting != other:
                if depth[meeting] < depth[other]:
                    meeting, other = other, meeting
                meeting = above[meeting]
        above[n], depth[n] = meeting, depth[meeting] + 1
    spared = {top: 0} | {n: COSTS.get(graph.nodes[n].op, CALL) for n in needed}
    for n in needed:  # arguments come before their readers, so all below a node is counted when its turn comes
        spared[above[n]] += spared[n]
    return spared


def _of_the_day(graph: Graph, node: int) -> bool:
    depends = graph.nodes[node].depends
    return bool(depends & {"state", "weather"}) and not depends & {"state_bar", "sums_bar", "daily_bar", "observed"}


def tangent(text: Text, graph: Graph) -> TangentDay:
    """Add to a graph one day forward with one tangent of the state and of the constants."""
    state, constants, weather, observations = _scalars(text, graph.dtype)

    def push(s: Any, c: Any, w: Any, o: Any, state_dot: Any, constants_dot: Any) -> Any:
        return jax.jvp(lambda s, c: text.day(s, c, w, o), (s, c), (state_dot, constants_dot))

    closed = jax.make_jaxpr(push)(state, constants, weather, observations, state, constants)
    dots = [*graph.inputs("state_dot", text.states), *graph.inputs("constant_dot", text.constants)]
    outputs = graph.read(closed, [*_day(text, graph), *dots], text.model.name)
    primal = text.states + text.sums
    live = _live(text, graph, outputs[:primal])
    moved = outputs[primal : primal + text.states]
    state, moved = (
        [n if i in live else graph.input(kind, i) for i, n in enumerate(nodes)]
        for kind, nodes in (("state", outputs[: text.states]), ("state_dot", moved))
    )
    return TangentDay(state, moved, outputs[primal + text.states :])
