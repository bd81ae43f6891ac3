"""A day of a model as straight-line programs: forward, adjoint, and a block of tangents.

Each program is traced once with JAX from the model text (so every derivative is JAX's own) and read into a `Graph`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from phloem.kernels.scalars import Graph
from phloem.kernels.text import Text

COSTLY = ("exp", "log", "sqrt", "reciprocal", "sin", "cos", "tan", "tanh", "pow", "log1p", "expm1", "erf")
"""Operations whose results the adjoint reads back from the segment's recomputation instead of doing them again."""


@dataclass(frozen=True)
class Forward:
    """One day forward.

    Attributes:
        state: nodes of the next state.
        sums: nodes of the contributions to the sums.
    """

    state: list[int]
    sums: list[int]


@dataclass(frozen=True)
class Adjoint:
    """One day backward, given the state at the day's start.

    Attributes:
        next_state: nodes of the next state, for the recomputation of a segment.
        active: states whose adjoint can differ from 0.
        state: nodes of the adjoints of the day's first state, one an active state.
        constants: nodes of the day's contributions to the adjoints of the constants.
        saved: costly nodes that the recomputation keeps for the way back.
    """

    next_state: list[int]
    active: list[int]
    state: list[int]
    constants: list[int]
    saved: list[int]


@dataclass(frozen=True)
class Tangent:
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
    one = jax.ShapeDtypeStruct((), dtype)
    return [one] * text.states, [one] * text.constants, [one] * text.weather, [one] * text.observed


def _day(text: Text, graph: Graph) -> list[int]:
    return [
        *graph.inputs("state", text.states),
        *graph.inputs("constant", text.constants),
        *graph.inputs("weather", text.weather),
        *graph.inputs("observed", text.observed),
    ]


def unseen(text: Text, graph: Graph, nodes: Sequence[int]) -> list[int]:
    """Return nodes on a day on which all observations and weights are 0: what these multiply drops out.

    Only what adds or multiplies an exact 0 is left out, so that the bits are those of the full text.
    """
    return graph.substitute(nodes, {graph.input("observed", i): graph.literal(0.0) for i in range(text.observed)})


def forward(text: Text, graph: Graph) -> Forward:
    """Add one day forward to a graph.

    Args:
        text: the model text.
        graph: where the operations go; its type is that of the trace.
    """
    closed = jax.make_jaxpr(text.day)(*_scalars(text, graph.dtype))
    found = graph.read(closed, _day(text, graph), text.model.name)
    return Forward(found[: text.states], found[text.states :])


def adjoint(text: Text, graph: Graph, last: bool) -> Adjoint:
    """Add one day backward to a graph.

    Args:
        text: the model text.
        graph: where the operations go.
        last: whether the last state has an adjoint. Without one, a state that no sum depends on has none either, and
            its adjoint code drops out.
    """
    state, constants, weather, observations = _scalars(text, graph.dtype)
    one = jax.ShapeDtypeStruct((), graph.dtype)

    def back(s: Any, c: Any, w: Any, o: Any, state_bar: Any, sums_bar: Any) -> Any:
        _, pull = jax.vjp(lambda s, c: text.day(s, c, w, o), s, c)
        return pull((state_bar, sums_bar))

    bars = ([one] * text.states, [one] * text.sums)
    closed = jax.make_jaxpr(back)(state, constants, weather, observations, *bars)

    def read(graph: Graph, active: Sequence[int]) -> list[int]:
        bar = [graph.input("state_bar", i) if i in active else graph.literal(0.0) for i in range(text.states)]
        inputs = [*_day(text, graph), *bar, *graph.inputs("sums_bar", text.sums)]
        return graph.read(closed, inputs, text.model.name)

    active: tuple[int, ...] = tuple(range(text.states)) if last else ()
    while not last:
        trial = Graph(graph.dtype)
        found = read(trial, active)
        grown = tuple(sorted({*active, *(i for i in range(text.states) if trial.number(found[i]) != 0.0)}))
        if grown == active:
            break
        active = grown
    found = read(graph, active)
    bars_out = [found[i] for i in active]
    used = graph.needed([*bars_out, *found[text.states :]])
    saved = [n for n in used if graph.nodes[n].op in COSTLY and _of_the_day(graph, n)]
    return Adjoint(forward(text, graph).state, list(active), bars_out, found[text.states :], saved)


def _of_the_day(graph: Graph, node: int) -> bool:
    depends = graph.nodes[node].depends
    return bool(depends & {"state", "weather"}) and not depends & {"state_bar", "sums_bar", "observed"}


def tangent(text: Text, graph: Graph) -> Tangent:
    """Add to a graph one day forward with one tangent of the state and of the constants."""
    state, constants, weather, observations = _scalars(text, graph.dtype)

    def push(s: Any, c: Any, w: Any, o: Any, state_dot: Any, constants_dot: Any) -> Any:
        return jax.jvp(lambda s, c: text.day(s, c, w, o), (s, c), (state_dot, constants_dot))

    closed = jax.make_jaxpr(push)(state, constants, weather, observations, state, constants)
    dots = [*graph.inputs("state_dot", text.states), *graph.inputs("constant_dot", text.constants)]
    found = graph.read(closed, [*_day(text, graph), *dots], text.model.name)
    primal = text.states + text.sums
    return Tangent(found[: text.states], found[primal : primal + text.states], found[primal + text.states :])
