"""Graphs: the published one, a user's, and those that are none."""

from __future__ import annotations

import pytest

from phloem.analysis.causes.causal_graph import CausalGraph, climate_flux_graph, graph_of_arcs
from phloem.errors import InputError


def test_the_published_graph_has_the_arcs_of_the_specification() -> None:
    graph = climate_flux_graph()
    climate = {("SWIN", "TA"), ("SWIN", "TS"), ("TA", "TS"), ("SWIN", "VPD"), ("TA", "VPD"), ("P", "VPD")}
    fluxes = {(driver, flux) for driver in ("SWIN", "P", "CO2", "TA", "TS", "VPD") for flux in ("GPP", "RECO", "NEP")}
    assert set(graph.arcs) == climate | fluxes


def test_a_node_that_data_lack_is_left_out_with_its_arcs() -> None:
    graph = climate_flux_graph(("SWIN", "TA", "VPD"), ("GPP",))
    assert graph.parents["VPD"] == ("SWIN", "TA")
    assert graph.parents["GPP"] == ("SWIN", "TA", "VPD")
    with pytest.raises(InputError, match="WIND is no climate node"):
        climate_flux_graph(("WIND",))


def test_nodes_stand_after_their_parents_whatever_order_they_are_given_in() -> None:
    graph = CausalGraph(("c", "b", "a"), {"c": ("b", "a"), "b": ("a",)})
    assert graph.nodes == ("a", "b", "c")
    assert graph.parents["c"] == ("b", "a")
    assert graph.pairs == (("a", "b"), ("a", "c"), ("b", "c"))


def test_ancestors_are_pairs_though_no_arc_joins_them() -> None:
    assert graph_of_arcs([("a", "b"), ("b", "c")]).pairs == (("a", "b"), ("a", "c"), ("b", "c"))


@pytest.mark.parametrize(
    ("arcs", "words"),
    [
        ([("a", "b"), ("b", "a")], "a cycle, "),
        ([("a", "a")], "a cycle, a -> a"),
        ([("a", "b"), ("a", "b")], "a parent of b stands twice: a, a"),
        ([], "no arcs"),
    ],
)
def test_a_graph_that_is_none_is_refused(arcs: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        graph_of_arcs(arcs)


def test_a_parent_that_is_no_node_is_refused_with_the_nodes() -> None:
    with pytest.raises(InputError, match=r"TAA is no node \(parents of GPP\); nodes are TA, GPP. Did you mean 'TA'"):
        CausalGraph(("TA", "GPP"), {"GPP": ("TAA",)})
