"""The copula network: closed forms, recovery of a known network, intervals, and the printed values for Europe."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from phloem.analysis.causes.causal_graph import CausalGraph, climate_flux_graph, graph_of_arcs
from phloem.analysis.causes.copula_network import (
    assemble_network,
    fit_copula_network,
    from_rank,
    rank_correlation_intervals,
    to_rank,
)
from phloem.analysis.causes.driver_series import DriverSeries, tower_series, whole_months
from phloem.errors import InputError
from phloem.io.flux_towers.tower_months import TowerMonths

FORK = CausalGraph(("a", "b", "c"), {"c": ("a", "b")})
CONDITIONAL = st.floats(-0.95, 0.95)


def series_of(values: np.ndarray, nodes: tuple[str, ...]) -> DriverSeries:
    return DriverSeries(nodes, np.arange(len(values)), values, "made up", 1)


def test_three_nodes_have_the_joint_of_the_textbook_formula() -> None:
    """r_cb = r_cb;a sqrt((1 - r_ca^2) (1 - r_ab^2)) + r_ca r_ab, with a -> b here."""
    graph = CausalGraph(("a", "b", "c"), {"b": ("a",), "c": ("a", "b")})
    given_ranks = {("a", "b"): 0.5, ("a", "c"): -0.4, ("b", "c"): 0.7}
    network = assemble_network(graph, given_ranks)
    ab, ac, bc = (float(from_rank(np.array(given_ranks[arc]))) for arc in (("a", "b"), ("a", "c"), ("b", "c")))
    assert network.correlation[0, 1] == pytest.approx(ab)
    assert network.correlation[0, 2] == pytest.approx(ac)
    assert network.correlation[1, 2] == pytest.approx(bc * np.sqrt((1 - ac**2) * (1 - ab**2)) + ac * ab)


def test_parents_without_a_path_between_them_are_independent() -> None:
    network = assemble_network(FORK, {("a", "c"): 0.8, ("b", "c"): 0.9})
    assert network.correlation[0, 1] == 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(CONDITIONAL, min_size=15, max_size=15))
def test_any_conditional_correlations_make_a_joint_that_has_them(ranks: list[float]) -> None:
    """Any numbers are possible; partial correlations of the joint, by inverting its blocks, are those given."""
    nodes = tuple("abcdef")
    graph = CausalGraph(nodes, {name: nodes[:n] for n, name in enumerate(nodes)})
    conditional = dict(zip(graph.arcs, ranks, strict=True))
    joint = assemble_network(graph, conditional).correlation
    assert np.linalg.eigvalsh(joint).min() > -1e-12
    assert np.abs(np.diag(joint) - 1).max() == 0
    for (parent, child), rank in conditional.items():
        given_nodes = [nodes.index(one) for one in graph.parents[child][: graph.parents[child].index(parent)]]
        block = [nodes.index(parent), nodes.index(child), *given_nodes]
        if np.linalg.cond(joint[np.ix_(block, block)]) < 1e6:
            inverse = np.linalg.inv(joint[np.ix_(block, block)])
            partial = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
            assert to_rank(partial) == pytest.approx(rank, abs=1e-7)


def test_a_known_network_is_recovered_whatever_the_margins_are() -> None:
    graph = climate_flux_graph()
    rng = np.random.default_rng(5)
    truth = {arc: float(rng.uniform(-0.7, 0.7)) for arc in graph.arcs}
    scores = assemble_network(graph, truth).sample(60_000, rng)
    skewed = np.column_stack([np.exp(scores[:, 0]), scores[:, 1] ** 3, *(stats.norm.cdf(scores[:, 2:]).T ** 2)])
    found = fit_copula_network(series_of(skewed, graph.nodes), graph)
    for arc, rank in truth.items():
        assert found.conditional[arc] == pytest.approx(rank, abs=0.02), arc
    implied = assemble_network(graph, truth).rank_correlation()
    measured = found.rank_correlation()
    assert max(abs(measured[arc] - implied[arc]) for arc in graph.arcs) < 0.02


def test_a_first_parent_has_the_rank_correlation_of_the_data() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal(4000)
    y = x + rng.standard_normal(4000)
    network = fit_copula_network(series_of(np.column_stack([x, y]), ("x", "y")), graph_of_arcs([("x", "y")]))
    assert network.rank_correlation()["x", "y"] == pytest.approx(stats.spearmanr(x, y)[0], abs=0.01)


def test_intervals_by_year_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(8)
    graph = graph_of_arcs([("x", "y")])
    truth = assemble_network(graph, {("x", "y"): 0.5})
    held = 0
    for seed in range(40):
        series = series_of(truth.sample(20 * 12, rng), ("x", "y"))
        low, high = rank_correlation_intervals(series, graph, draws=80, seed=seed)["x", "y"]
        assert low < high
        held += low <= 0.5 <= high
    assert 30 <= held <= 40


def test_intervals_of_years_that_hang_together_are_wider_than_those_of_single_months() -> None:
    rng = np.random.default_rng(3)
    yearly = np.repeat(rng.standard_normal((20, 1)), 12, axis=0)
    x = (yearly + 0.1 * rng.standard_normal((240, 1)))[:, 0]
    y = (np.repeat(rng.standard_normal((20, 1)), 12, axis=0) + 0.1 * rng.standard_normal((240, 1)))[:, 0]
    graph = graph_of_arcs([("x", "y")])
    by_year = series_of(np.column_stack([x, y]), ("x", "y"))
    by_month = DriverSeries(("x", "y"), 12 * np.arange(240), by_year.values, "made up", 1)
    wide, narrow = (rank_correlation_intervals(one, graph, 200)["x", "y"] for one in (by_year, by_month))
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_a_constant_node_is_refused_by_name() -> None:
    series = series_of(np.column_stack([np.arange(30.0), np.full(30, 400.0)]), ("TA", "CO2"))
    with pytest.raises(InputError, match=r"CO2 is constant over 30 months"):
        fit_copula_network(series, graph_of_arcs([("CO2", "TA")]))


def test_parents_that_determine_one_another_are_refused() -> None:
    x = np.random.default_rng(0).standard_normal((50, 1))
    series = series_of(np.column_stack([x, x**3, x + 1]), ("a", "b", "c"))
    with pytest.raises(InputError, match=r"node c: its parents a, b determine one another"):
        fit_copula_network(series, FORK)


def test_a_conditional_correlation_that_is_missing_or_no_correlation_is_refused() -> None:
    with pytest.raises(InputError, match=r"arc b -> c: .* missing"):
        assemble_network(FORK, {("a", "c"): 0.1})
    with pytest.raises(InputError, match=r"arc a -> c: .* 1.5"):
        assemble_network(FORK, {("a", "c"): 1.5, ("b", "c"): 0.0})


PRINTED = {
    ("SWIN", "GPP"): 0.82, ("SWIN", "RECO"): 0.71, ("TA", "RECO"): 0.9, ("TA", "GPP"): 0.76, ("TA", "NEP"): 0.44,
    ("VPD", "GPP"): 0.84, ("VPD", "RECO"): 0.92, ("VPD", "NEP"): 0.57, ("CO2", "GPP"): 0.03, ("CO2", "NEP"): 0.03,
    ("CO2", "RECO"): -0.06, ("SWIN", "TA"): 0.65, ("SWIN", "VPD"): 0.81, ("TA", "VPD"): 0.97, ("P", "VPD"): -0.04,
}  # fmt: skip
"""Europe (attribution.md section 8)."""


def test_the_printed_values_for_europe_come_out_of_the_towers(towers: Callable[[], TowerMonths]) -> None:
    """Mean absolute difference .075 in uflux.md section 10.5, where Spearman's own has .12."""
    graph = climate_flux_graph()
    series = whole_months(tower_series(towers(), graph.nodes, "Europe"), graph.nodes)
    found = fit_copula_network(series, graph).rank_correlation()
    off = np.mean([abs(found[arc] - value) for arc, value in PRINTED.items()])
    spearman = stats.spearmanr(series.values)[0]
    place = series.nodes.index
    plain = np.mean([abs(spearman[place(a), place(b)] - value) for (a, b), value in PRINTED.items()])
    assert len(series) >= 234
    assert off < 0.08
    assert plain > 0.11
