"""Programs of scalars mean the same read, simplified, fused, cut down and multiplied out."""

import math
import operator
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.kernels.time_loop.cpu.preaccumulation import preaccumulate
from phloem.kernels.time_loop.cpu.scalar_graph import Graph, UnprintableError

INPUTS = 3
MEANINGS = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg, "max": max, "min": min,
    "lt": operator.lt, "gt": operator.gt, "le": operator.le, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": operator.not_, "abs": abs, "sqrt": math.sqrt,
    "exp": math.exp, "tanh": math.tanh, "sign": lambda x: float(np.sign(x)), "reciprocal": lambda x: 1 / x,
    "select": lambda c, a, b: a if c else b, "fma": lambda a, b, c: float(Fraction(a) * Fraction(b) + Fraction(c)),
}  # fmt: skip
STEPS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (1 + b * b),
    "max": jnp.maximum,
    "clip": lambda a, b: jnp.minimum(jnp.maximum(a, -1.0), 1.5),
    "where": lambda a, b: jnp.where(a < b, a, 2 * b),
    "excess": lambda a, b: jnp.where(a - jnp.minimum(a, 1.0) == 0, a, b),
    "bell": lambda a, b: jnp.exp(-a * a),
    "root": lambda a, b: jnp.sqrt(1 + a * a),
    "tanh": lambda a, b: jnp.tanh(a),
    "nothing": lambda a, b: 0 * a,
    "minus": lambda a, b: -1.0 * a,
    "same": lambda a, b: a - b + b,
}

programs = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12
)
numbers = st.lists(st.sampled_from([-2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 1.7]), min_size=INPUTS, max_size=INPUTS)


def function(program):
    """Return a function of three scalars, which returns the last three values of a program."""

    def run(*inputs):
        values = list(inputs)
        for op, a, b in program:
            values.append(STEPS[op](values[a % len(values)], values[b % len(values)]))
        return values[-3:]

    return run


def read(function, kinds):
    """Return a graph and the outputs of a function whose arguments are inputs of these kinds."""
    graph = Graph(np.float64)
    closed = jax.make_jaxpr(function)(*[jnp.zeros(())] * len(kinds))
    return graph, graph.read(closed, [graph.input(kind, i) for i, kind in enumerate(kinds)])


def evaluate(graph, outputs, given):
    """Carry out a graph with Python's own arithmetic."""
    values = dict(enumerate(given))
    for n in sorted({*graph.reached(outputs)}):
        node = graph.nodes[n]
        if node.op == "literal":
            values[n] = bool(node.value) if node.truth else node.value
        elif node.op != "input":
            values[n] = MEANINGS[node.op](*(values[a] for a in node.args))
    return [float(values[n]) for n in outputs]


@settings(deadline=None, max_examples=60)
@given(programs, numbers)
def test_read_and_fused(program, given):
    run = function(program)
    wanted = [float(x) for x in run(*map(jnp.float64, given))]
    graph, outputs = read(run, ["state"] * INPUTS)
    np.testing.assert_allclose(evaluate(graph, outputs, given), wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(evaluate(graph, graph.fuse(outputs), given), wanted, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(programs, numbers, st.integers(0, INPUTS - 1))
def test_an_input_that_is_nought_drops_out_to_the_bit(program, given, place):
    """What is left of the fused program rounds as the whole does."""
    graph, outputs = read(function(program), ["state"] * INPUTS)
    given[place] = 0.0
    fused = graph.fuse(outputs)
    short = graph.substitute(fused, {place: graph.literal(0.0)})
    assert place not in graph.reached(short)
    assert evaluate(graph, short, given) == evaluate(graph, fused, given)


@settings(deadline=None, max_examples=40)
@given(programs, numbers, numbers)
def test_multiplied_out_tangents(program, given, dots):
    run = function(program)

    def push(*arguments):
        return jax.jvp(run, list(arguments[:INPUTS]), list(arguments[INPUTS:]))[1]

    wanted = [float(x) for x in push(*map(jnp.float64, given + dots))]
    graph, outputs = read(push, ["state"] * INPUTS + ["state_dot"] * INPUTS)
    found = preaccumulate(graph, outputs, frozenset(("state_dot",)))
    np.testing.assert_allclose(evaluate(graph, found, given + dots), wanted, rtol=1e-9, atol=1e-9)
    moving = [n for n in graph.needed(found) if graph.nodes[n].depends & {"state_dot"}]
    assert {graph.nodes[n].op for n in moving} <= {"add", "sub", "mul", "neg", "fma"}


def test_a_difference_that_is_compared_is_not_fused():
    """Fused, a x - (a x) would be the rounding of the product instead of 0."""
    graph, outputs = read(lambda a, x: jnp.where(a * x - jnp.minimum(a * x, 9.0) == 0, a, x), ["state"] * 2)
    assert "fma" not in {graph.nodes[n].op for n in graph.needed(graph.fuse(outputs))}


def test_equal_operations_are_one_and_an_array_is_refused():
    graph, outputs = read(lambda a, b: (a * b + 1, b * a + 1, (a + b) / (a + b)), ["state"] * 2)
    assert outputs[0] == outputs[1]
    assert sum(graph.nodes[n].op == "add" for n in graph.needed(outputs)) == 2
    with pytest.raises(UnprintableError, match="scalars only"):
        read(lambda a: jnp.cumsum(jnp.stack([a, a]))[0], ["state"])
