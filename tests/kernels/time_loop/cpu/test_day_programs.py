"""What the way back saves is chosen by what it spares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from phloem.kernels.time_loop.cpu.day_programs import CALL, COSTS, _spared
from phloem.kernels.time_loop.cpu.scalar_graph import Graph

INPUTS = 3
OPERATIONS = ("add", "mul", "max", "exp", "tanh")

operations = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=25
)
places = st.lists(st.integers(0, 99), max_size=3)


@given(program=operations, read=places, at_hand=places)
def test_what_a_number_spares_is_what_is_no_longer_needed_once_it_is_known(
    program: list[tuple[str, int, int]], read: list[int], at_hand: list[int]
) -> None:
    graph = Graph(float)
    nodes = graph.inputs("state", INPUTS)
    for op, a, b in program:
        arguments = (nodes[a % len(nodes)], nodes[b % len(nodes)])
        nodes.append(graph.apply(op, *(arguments[:1] if op in ("exp", "tanh") else arguments)))
    outputs = [nodes[-1], *(nodes[n % len(nodes)] for n in read)]
    known = {nodes[n % len(nodes)] for n in at_hand}

    def cost(known: set[int]) -> int:
        return sum(COSTS.get(graph.nodes[n].op, CALL) for n in graph.needed(outputs, known))

    spared = _spared(graph, outputs, known)
    for n in graph.needed(outputs, known):
        assert spared[n] == cost(known) - cost(known | {n})
