"""The linear network: its posterior against closed forms, effects against simulated truth, do against total effects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from phloem.analysis.causes.causal_graph import CausalGraph, climate_flux_graph
from phloem.analysis.causes.driver_series import DriverSeries, standardise
from phloem.analysis.causes.linear_network import fit_linear_network, node_posterior, total_effect_matrix
from phloem.errors import InputError

CHAIN = CausalGraph(("x", "m", "y"), {"m": ("x",), "y": ("x", "m")})


def chain(count: int, seed: int = 0) -> DriverSeries:
    """y = 0.3 x + 0.5 m + noise and m = 0.8 x + noise, all of variance 1."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(count)
    m = 0.8 * x + 0.6 * rng.standard_normal(count)
    rest = 1 - (0.3**2 + 0.5**2 + 2 * 0.3 * 0.5 * 0.8)
    y = 0.3 * x + 0.5 * m + np.sqrt(rest) * rng.standard_normal(count)
    return DriverSeries(("x", "m", "y"), np.arange(count), np.column_stack([x, m, y]), "made up", 1)


def test_direct_and_total_effects_are_those_of_the_simulated_truth() -> None:
    network = fit_linear_network(standardise(chain(40_000)), CHAIN)
    direct, total = network.direct_effects(), network.total_effects()
    assert direct["x", "y"].mean == pytest.approx(0.3, abs=0.02)
    assert direct["m", "y"].mean == pytest.approx(0.5, abs=0.02)
    assert total["x", "y"].mean == pytest.approx(0.3 + 0.8 * 0.5, abs=0.02)
    assert total["x", "m"] == direct["x", "m"]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = np.zeros(2)
    for seed in range(100):
        network = fit_linear_network(chain(150, seed), CHAIN)
        for n, effect in enumerate((network.direct_effects(400)["m", "y"], network.total_effects(400)["x", "y"])):
            held[n] += effect.low <= (0.5, 0.7)[n] <= effect.high
    assert (held >= 80).all()
    assert (held <= 98).all()


def test_the_posterior_is_that_of_the_marginal_likelihood() -> None:
    """One parent, no intercept to speak of: the coefficient's density by integrating the noise out numerically."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal(12)
    y = 0.7 * x + rng.standard_normal(12)
    posterior = node_posterior(x[:, None], y)
    design = np.column_stack([np.ones(12), x])
    scale = posterior.scale / posterior.shape * np.linalg.inv(posterior.precision)
    student = stats.t(2 * posterior.shape, posterior.mean[1], np.sqrt(scale[1, 1]))

    def joint(slope: float) -> float:
        def of_variance(variance: float) -> float:
            covariance = variance * (np.eye(12) + np.ones((12, 12)))  # the intercept, N(0, variance), integrated out
            likelihood = stats.multivariate_normal(np.zeros(12), covariance).pdf(y - slope * x)
            prior = stats.norm(0, np.sqrt(variance)).pdf(slope) * stats.invgamma(0.5, scale=0.5).pdf(variance)
            return float(likelihood * prior)

        return quad(of_variance, 0, 200, limit=400, epsabs=0.0, points=(0.5, 1.0, 3.0))[0]

    slopes = np.array([0.2, 0.6, 1.0])
    found = np.array([joint(slope) for slope in slopes])
    assert found / found[0] == pytest.approx(student.pdf(slopes) / student.pdf(slopes[0]), rel=1e-3)
    assert posterior.mean == pytest.approx(np.linalg.lstsq(np.vstack([design, np.eye(2)]), np.append(y, [0, 0]))[0])


def test_draws_have_the_mean_and_spread_of_the_student_t() -> None:
    series = chain(60)
    posterior = fit_linear_network(series, CHAIN).posteriors["y"]
    drawn = posterior.sample(200_000, np.random.default_rng(1))
    shape = posterior.scale / posterior.shape * np.linalg.inv(posterior.precision)
    expected = stats.t(2 * posterior.shape, posterior.mean[2], np.sqrt(shape[2, 2]))
    assert np.quantile(drawn[:, 2], [0.05, 0.5, 0.95]) == pytest.approx(expected.ppf([0.05, 0.5, 0.95]), abs=0.005)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_setting_a_node_moves_every_other_by_its_total_effect(seed: int, value: float) -> None:
    graph = climate_flux_graph()
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((60, len(graph.nodes))) @ rng.standard_normal((len(graph.nodes), len(graph.nodes)))
    series = standardise(DriverSeries(graph.nodes, np.arange(60), mixed, "made up", 1))
    network = fit_linear_network(series, graph)
    total = total_effect_matrix(network.coefficients())
    for number, node in enumerate(graph.nodes):
        moved, still = network.do(node, value), network.do(node, 0.0)
        for row, name in enumerate(graph.nodes):
            due = value if name == node else value * total[row, number]
            assert moved[name] - still[name] == pytest.approx(due, abs=1e-9)


def test_total_effects_sum_the_products_over_all_paths() -> None:
    b = np.zeros((4, 4))
    b[1, 0], b[2, 0], b[2, 1], b[3, 1], b[3, 2] = 2.0, 3.0, 5.0, 7.0, 11.0
    assert total_effect_matrix(b)[3, 0] == pytest.approx(2 * 7 + 3 * 11 + 2 * 5 * 11)
    assert total_effect_matrix(np.stack([b, 0 * b]))[1].max() == 0


def test_a_season_that_two_nodes_share_is_no_effect_once_it_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    season = 10 * np.sin(2 * np.pi * np.arange(240) / 12)
    values = np.column_stack([season + rng.standard_normal(240), season + rng.standard_normal(240)])
    series = DriverSeries(("x", "y"), np.arange(240), values, "made up", 1)
    graph = CausalGraph(("x", "y"), {"y": ("x",)})
    raw = fit_linear_network(standardise(series), graph).direct_effects()["x", "y"]
    without = fit_linear_network(standardise(series, deseasonalise=True), graph).direct_effects()["x", "y"]
    assert raw.mean > 0.9
    assert without.low < 0 < without.high


def test_a_node_that_the_series_lack_is_refused() -> None:
    with pytest.raises(InputError, match=r"made up: no series of z; there are x, m, y"):
        fit_linear_network(chain(30), CausalGraph(("x", "z"), {"z": ("x",)}))
