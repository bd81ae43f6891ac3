"""The linear part of a tangent program, with fewer operations: partial derivatives are multiplied out beforehand.

A block of tangents shares one run of the primal. So whatever multiplies a tangent may cost what it likes in the primal,
where it is worked out once for the whole block, and the tangents themselves shrink to a few fused multiply-adds each
("preaccumulation": Griewank and Walther, Evaluating Derivatives, 2008, chapter 10).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from phloem.kernels.time_loop.cpu.scalar_graph import Graph

Form = dict[int, int]
"""A linear form: the factor, a node without tangents, of each tangent node in it."""


def preaccumulate(graph: Graph, outputs: Sequence[int], dots: frozenset[str]) -> list[int]:
    """Return outputs as sums of products, each with one factor that holds no tangent.

    A tangent that several others read, and that is a sum, is worked out once; any other is put into its readers.

    Args:
        graph: the operations; the outputs are linear in the inputs of the kinds `dots`.
        outputs: nodes.
        dots: kinds of input that are tangents.
    """
    order = [n for n in graph.needed(outputs) if graph.nodes[n].depends & dots]
    uses = Counter(a for n in order for a in graph.nodes[n].args)
    uses.update(outputs)
    forms: dict[int, Form] = {}
    unit = graph.literal(1.0)

    def form(n: int) -> Form:
        if not graph.nodes[n].depends & dots:
            assert graph.number(n) == 0, "a tangent program is linear"
            return {}
        return forms.get(n, {n: unit})

    for n in order:
        linear = _form(graph, n, form, dots)
        if len(linear) > 1 and uses[n] > 1:
            linear = {_combined(graph, linear): unit}
        forms[n] = linear
    return [_combined(graph, form(n)) for n in outputs]


def _form(graph: Graph, n: int, form: Callable[[int], Form], dots: frozenset[str]) -> Form:
    """Return the linear form of one operation."""
    node = graph.nodes[n]
    zero = graph.literal(0.0)
    if node.op == "add":
        parts = [form(node.args[0]), form(node.args[1])]
    elif node.op == "sub":
        parts = [form(node.args[0]), _negated(graph, form(node.args[1]))]
    elif node.op == "neg":
        parts = [_negated(graph, form(node.args[0]))]
    elif node.op == "mul":
        moving, factor = node.args if graph.nodes[node.args[0]].depends & dots else node.args[::-1]
        parts = [{b: graph.apply("mul", c, factor) for b, c in form(moving).items()}]
    elif node.op == "select":
        asked, yes, no = node.args
        parts = [
            {b: graph.apply("select", asked, c, zero) for b, c in form(yes).items()},
            {b: graph.apply("select", asked, zero, c) for b, c in form(no).items()},
        ]
    else:
        raise AssertionError(f"a tangent program holds no {node.op}")
    total: Form = {}
    for part in parts:
        for b, c in part.items():
            total[b] = graph.apply("add", total[b], c) if b in total else c
    return {b: c for b, c in total.items() if graph.number(c) != 0}


def _negated(graph: Graph, form: Form) -> Form:
    return {b: graph.apply("neg", c) for b, c in form.items()}


def _combined(graph: Graph, form: Form) -> int:
    """Return the node of a linear form."""
    total = graph.literal(0.0)
    for b, c in form.items():
        total = graph.apply("fma", c, b, total)
    return total
