"""Linear-Gaussian Bayesian network: direct and total causal effects with their intervals (attribution.md section 8).

A node is a line of its parents plus noise. The prior of each node is conjugate: coefficients and intercept
N(0, sigma^2), and sigma^2 inverse-gamma(1/2, 1/2), which weighs as much as one observation of variance 1; so the
posterior has a closed form. With B of the coefficients, (I - B)^-1 - I sums their products over all directed paths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phloem.analysis.causes.causal_graph import Arc, CausalGraph
from phloem.analysis.causes.driver_series import DriverSeries

PRIOR_SHAPE, PRIOR_SCALE = 0.5, 0.5
"""Of the inverse-gamma prior of the noise's variance."""


@dataclass(frozen=True, eq=False)
class NodePosterior:
    """What is known of one node given its parents.

    Attributes:
        mean: of the intercept and of each parent's coefficient, (1 + parents,).
        precision: of them in units of the noise's variance, (1 + parents, 1 + parents).
        shape, scale: of the inverse-gamma posterior of the noise's variance.
    """

    mean: np.ndarray
    precision: np.ndarray
    shape: float
    scale: float

    def sample(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Draw intercepts and coefficients, (draws, 1 + parents)."""
        variance = self.scale / rng.gamma(self.shape, size=draws)
        factor = np.linalg.cholesky(self.precision)
        steps = np.linalg.solve(factor.T, rng.standard_normal((len(self.mean), draws))).T
        return np.asarray(self.mean + np.sqrt(variance)[:, None] * steps)


@dataclass(frozen=True)
class Effect:
    """A causal effect in standard deviations of the child a standard deviation of the parent.

    Attributes:
        mean: of the posterior.
        low, high: its interval.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """A fitted network.

    Attributes:
        graph: nodes and parents.
        posteriors: by node.
    """

    graph: CausalGraph
    posteriors: dict[str, NodePosterior]

    def coefficients(self) -> np.ndarray:
        """Return posterior means B, (nodes, nodes): row is the child, column the parent."""
        return self._matrix({name: one.mean[None] for name, one in self.posteriors.items()})[0]

    def sample(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Draw B, (draws, nodes, nodes): row is the child, column the parent."""
        return self._matrix({name: one.sample(draws, rng) for name, one in self.posteriors.items()})

    def _matrix(self, drawn: dict[str, np.ndarray]) -> np.ndarray:
        place = {name: n for n, name in enumerate(self.graph.nodes)}
        matrix = np.zeros((len(next(iter(drawn.values()))), len(place), len(place)))
        for child, values in drawn.items():
            for number, parent in enumerate(self.graph.parents[child], 1):
                matrix[:, place[child], place[parent]] = values[:, number]
        return matrix

    def direct_effects(self, draws: int = 2000, seed: int = 0, level: float = 0.9) -> dict[Arc, Effect]:
        """Return the coefficient of each arc."""
        return self._effects(self.sample(draws, np.random.default_rng(seed)), self.graph.arcs, level)

    def total_effects(self, draws: int = 2000, seed: int = 0, level: float = 0.9) -> dict[Arc, Effect]:
        """Return the sum over directed paths of products of coefficients, for each pair that a path joins."""
        drawn = total_effect_matrix(self.sample(draws, np.random.default_rng(seed)))
        return self._effects(drawn, self.graph.pairs, level)

    def _effects(self, drawn: np.ndarray, pairs: tuple[Arc, ...], level: float) -> dict[Arc, Effect]:
        place = {name: n for n, name in enumerate(self.graph.nodes)}
        found = {}
        for parent, child in pairs:
            values = drawn[:, place[child], place[parent]]
            low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
            found[parent, child] = Effect(float(values.mean()), float(low), float(high))
        return found

    def do(self, node: str, value: float) -> dict[str, float]:
        """Return the mean of each node where one is set to a value, arcs into it cut; coefficients at their means.

        Args:
            node: which is set.
            value: in standard deviations from its mean.
        """
        level: dict[str, float] = {}
        for name in self.graph.nodes:
            mean = self.posteriors[name].mean
            line = mean[0] + sum(
                slope * level[parent] for slope, parent in zip(mean[1:], self.graph.parents[name], strict=True)
            )
            level[name] = float(value) if name == node else float(line)
        return level


def total_effect_matrix(coefficients: np.ndarray) -> np.ndarray:
    """Return (I - B)^-1 - I; B (..., nodes, nodes), row the child and column the parent."""
    identity = np.eye(coefficients.shape[-1])
    return np.asarray(np.linalg.inv(identity - coefficients) - identity)


def fit_linear_network(series: DriverSeries, graph: CausalGraph) -> LinearNetwork:
    """Fit each node to its parents.

    Args:
        series: standardised (`driver_series.standardise`), with all nodes of the graph.
        graph: nodes and parents.

    Raises:
        InputError: a node that the series lack, that is constant or has missing months.
    """
    values = series.columns(graph.nodes)
    place = {name: n for n, name in enumerate(graph.nodes)}
    posteriors = {
        child: node_posterior(values[:, [place[name] for name in graph.parents[child]]], values[:, place[child]])
        for child in graph.nodes
    }
    return LinearNetwork(graph, posteriors)


def node_posterior(parents: np.ndarray, child: np.ndarray) -> NodePosterior:
    """Return the normal-inverse-gamma posterior of a line.

    Args:
        parents: (months, parents).
        child: (months,).
    """
    design = np.column_stack([np.ones(len(child)), parents])
    precision = np.eye(design.shape[1]) + design.T @ design
    mean = np.linalg.solve(precision, design.T @ child)
    rest = child - design @ mean
    return NodePosterior(
        mean=mean,
        precision=precision,
        shape=PRIOR_SHAPE + 0.5 * len(child),
        scale=PRIOR_SCALE + 0.5 * float(rest @ rest + mean @ mean),
    )
