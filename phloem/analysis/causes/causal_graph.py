"""Directed acyclic graphs of drivers and fluxes: nodes, ordered parents, and the graph of climate and carbon fluxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from phloem.errors import InputError, did_you_mean

CLIMATE = ("SWIN", "P", "CO2", "TA", "TS", "VPD")
"""Nodes of the climate, parents before children."""

CLIMATE_PARENTS: Mapping[str, tuple[str, ...]] = {
    "SWIN": (),
    "P": (),
    "CO2": (),
    "TA": ("SWIN",),
    "TS": ("SWIN", "TA"),
    "VPD": ("SWIN", "TA", "P"),
}
"""Parents within the climate (attribution.md section 8)."""

FLUX_PARENTS = ("SWIN", "TA", "TS", "VPD", "P", "CO2")
"""Parents of each flux, in the order in which conditional rank correlations are taken."""

FLUXES = ("GPP", "RECO", "NEP")
"""Fluxes that the climate drives; NEP is -NEE. They have no arcs among themselves."""

Arc = tuple[str, str]
"""Parent and child."""


@dataclass(frozen=True)
class CausalGraph:
    """A directed acyclic graph whose parents are ordered.

    Attributes:
        nodes: names, parents before children.
        parents: of each node, in order; nodes that are not named have none.

    Raises:
        InputError: a node that stands twice, a parent that is no node or stands twice, or a cycle; the message names
            the node.
    """

    nodes: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        """Check the graph, and bring its nodes into an order in which parents stand before children."""
        for name in self.nodes:
            if self.nodes.count(name) > 1:
                raise InputError(f"graph: node {name} stands twice")
        for child, parents in self.parents.items():
            for name in (child, *parents):
                if name not in self.nodes:
                    raise InputError(
                        f"graph: {name} is no node (parents of {child}); nodes are {', '.join(self.nodes)}."
                        f"{did_you_mean(name, self.nodes)}"
                    )
            if len(set(parents)) < len(parents):
                raise InputError(f"graph: a parent of {child} stands twice: {', '.join(parents)}")
        whole = {name: tuple(self.parents.get(name, ())) for name in self.nodes}
        try:
            order = tuple(TopologicalSorter(whole).static_order())
        except CycleError as error:
            raise InputError(f"graph: a cycle, {' -> '.join(error.args[1])}; arcs must not close") from None
        place = {name: n for n, name in enumerate(self.nodes)}
        sorted_already = all(place[parent] < place[child] for child in self.nodes for parent in whole[child])
        object.__setattr__(self, "parents", whole)
        object.__setattr__(self, "nodes", self.nodes if sorted_already else order)

    @property
    def arcs(self) -> tuple[Arc, ...]:
        """Parent and child of each arc, child by child in order."""
        return tuple((parent, child) for child in self.nodes for parent in self.parents[child])

    @property
    def pairs(self) -> tuple[Arc, ...]:
        """Ancestor and descendant of each pair that a directed path joins."""
        above: dict[str, set[str]] = {}
        for child in self.nodes:
            above[child] = set(self.parents[child]).union(*(above[parent] for parent in self.parents[child]))
        return tuple((name, child) for child in self.nodes for name in self.nodes if name in above[child])

    def to_json(self) -> dict[str, list[str]]:
        """Return parents by node."""
        return {name: list(self.parents[name]) for name in self.nodes}


def climate_flux_graph(climate: Sequence[str] = CLIMATE, fluxes: Sequence[str] = FLUXES) -> CausalGraph:
    """Return the graph of climate and carbon fluxes, or the part of it that some data have.

    Args:
        climate: nodes of `CLIMATE`.
        fluxes: names of the fluxes; each has all climate nodes as parents.

    Raises:
        InputError: a node that the graph does not know.
    """
    for name in climate:
        if name not in CLIMATE:
            raise InputError(f"graph: {name} is no climate node; they are {', '.join(CLIMATE)}")
    parents = {name: tuple(one for one in CLIMATE_PARENTS[name] if one in climate) for name in climate}
    drivers = tuple(name for name in FLUX_PARENTS if name in climate)
    return CausalGraph((*climate, *fluxes), parents | dict.fromkeys(fluxes, drivers))


def graph_of_arcs(arcs: Iterable[Arc]) -> CausalGraph:
    """Return the graph of a user's arcs; a child's parents are ordered as they are given.

    Args:
        arcs: parent and child of each.

    Raises:
        InputError: no arcs, or as of `CausalGraph`.
    """
    parents: dict[str, tuple[str, ...]] = {}
    for parent, child in arcs:
        parents.setdefault(parent, ())
        parents[child] = (*parents.get(child, ()), parent)
    if not parents:
        raise InputError("graph: no arcs; each is a parent and a child, as TA -> GPP")
    return CausalGraph(tuple(parents), parents)
