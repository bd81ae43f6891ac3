"""Gaussian-copula Bayesian network: conditional rank correlations along ordered parents, and the joint that they make.

Each node keeps its own distribution; normal copulas join it to its first parent, to its second given the first, and so
on (Hanea, Kurowicka and Cooke 2006, doi:10.1002/qre.808; Kurowicka and Cooke 2006, Uncertainty Analysis with High
Dimensional Dependence Modelling). A rank correlation r and the correlation of normal scores rho are one another's
r = 6/pi asin(rho/2), rho = 2 sin(pi r/6) (Pearson 1907).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from phloem.analysis.causes.causal_graph import Arc, CausalGraph
from phloem.analysis.causes.driver_series import DriverSeries
from phloem.errors import InputError


def to_rank(correlation: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of normal variables from Pearson's."""
    return np.asarray(6.0 / np.pi * np.arcsin(np.asarray(correlation) / 2.0))


def from_rank(rank: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of normal variables from Spearman's."""
    return np.asarray(2.0 * np.sin(np.pi / 6.0 * np.asarray(rank)))


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Return the normal quantiles of ranks / (n + 1), column by column; ties share their mean rank.

    Args:
        values: (months, nodes), all finite.
    """
    return np.asarray(stats.norm.ppf(stats.rankdata(values, axis=0) / (len(values) + 1.0)))


@dataclass(frozen=True, eq=False)
class CopulaNetwork:
    """A network with the joint rank correlations that it implies.

    Attributes:
        graph: nodes and ordered parents.
        conditional: conditional rank correlation of each arc, given the child's parents before it.
        correlation: of the normal scores under the network, in the order of `graph.nodes`, (nodes, nodes).
    """

    graph: CausalGraph
    conditional: Mapping[Arc, float]
    correlation: np.ndarray

    def rank_correlation(self) -> dict[Arc, float]:
        """Return the rank correlation of each arc's two ends under the network: what figures label arcs with."""
        place = {name: n for n, name in enumerate(self.graph.nodes)}
        joint = to_rank(self.correlation)
        return {(parent, child): float(joint[place[parent], place[child]]) for parent, child in self.graph.arcs}

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw normal scores from the joint, (count, nodes) in the order of `graph.nodes`."""
        factor = np.linalg.cholesky(self.correlation)
        return np.asarray(rng.standard_normal((count, len(factor))) @ factor.T)


def assemble_network(graph: CausalGraph, conditional: Mapping[Arc, float]) -> CopulaNetwork:
    """Return the network of given conditional rank correlations: any values between -1 and 1 make one joint.

    A node is independent of the nodes before it that are not its parents, given its parents.

    Args:
        graph: nodes and ordered parents.
        conditional: of each arc, given the child's parents before it.

    Raises:
        InputError: an arc without a value, or a value outside -1..1.
    """
    for arc in graph.arcs:
        if arc not in conditional or not -1.0 < conditional[arc] < 1.0:
            raise InputError(
                f"arc {arc[0]} -> {arc[1]}: conditional rank correlation {conditional.get(arc, 'missing')}; a number "
                "between -1 and 1 is due"
            )
    place = {name: n for n, name in enumerate(graph.nodes)}
    joint = np.eye(len(graph.nodes))
    for child in graph.nodes:
        parents, here = [place[name] for name in graph.parents[child]], place[child]
        if parents:
            partial = from_rank(np.array([conditional[parent, child] for parent in graph.parents[child]]))
            left = np.sqrt(np.concatenate([[1.0], np.cumprod(1.0 - partial**2)[:-1]]))
            of_parents = joint[np.ix_(parents, parents)]
            with_parents = np.linalg.cholesky(of_parents) @ (partial * left)
            before = joint[:here, parents] @ np.linalg.solve(of_parents, with_parents)
            joint[here, :here] = joint[:here, here] = before
    return CopulaNetwork(graph, dict(conditional), joint)


def fit_copula_network(series: DriverSeries, graph: CausalGraph) -> CopulaNetwork:
    """Estimate conditional rank correlations from normal scores along each node's ordered parents.

    Args:
        series: with all nodes of the graph, all finite.
        graph: nodes and ordered parents.

    Raises:
        InputError: a node that the series lack, that is constant or has missing months, parents that determine one
            another, or fewer months than parents; the message names the node.
    """
    values = series.columns(graph.nodes)
    most = max((len(parents) for parents in graph.parents.values()), default=0)
    if len(values) < most + 3:
        raise InputError(f"{len(values)} months for a node with {most} parents; at least {most + 3} are due")
    return _fitted(values, graph)


def _fitted(values: np.ndarray, graph: CausalGraph) -> CopulaNetwork:
    measured = np.corrcoef(normal_scores(values), rowvar=False)
    place = {name: n for n, name in enumerate(graph.nodes)}
    conditional: dict[Arc, float] = {}
    for child in graph.nodes:
        parents = [place[name] for name in graph.parents[child]]
        if not parents:
            continue
        try:
            factor = np.linalg.cholesky(measured[np.ix_(parents, parents)])
        except np.linalg.LinAlgError:
            raise InputError(
                f"node {child}: its parents {', '.join(graph.parents[child])} determine one another; leave one out"
            ) from None
        shares = np.linalg.solve(factor, measured[parents, place[child]])
        left = np.sqrt(np.maximum(1.0 - np.concatenate([[0.0], np.cumsum(shares**2)[:-1]]), np.finfo(float).tiny))
        ranks = to_rank(np.clip(shares / left, -1.0 + 1e-12, 1.0 - 1e-12))
        conditional |= {(name, child): float(rank) for name, rank in zip(graph.parents[child], ranks, strict=True)}
    return assemble_network(graph, conditional)


def rank_correlation_intervals(
    series: DriverSeries, graph: CausalGraph, draws: int = 500, seed: int = 0, level: float = 0.9
) -> dict[Arc, tuple[float, float]]:
    """Return bootstrap intervals of each arc's rank correlation: whole years are drawn, with replacement.

    Months of a year hang together, so that drawing single months would make intervals too narrow. Draws in which a
    node is constant or its parents determine one another are left out.

    Args:
        series: with all nodes of the graph.
        graph: nodes and ordered parents.
        draws: how many.
        seed: of the draws.
        level: share that an interval holds.

    Raises:
        InputError: as of `fit_copula_network`, fewer than two years, or no draw that could be fitted.
    """
    values, years = series.columns(graph.nodes), series.years
    blocks = [np.flatnonzero(years == year) for year in np.unique(years)]
    if len(blocks) < 2:
        raise InputError(f"{len(blocks)} year of months; intervals by year need at least two")
    rng = np.random.default_rng(seed)
    found: list[list[float]] = []
    for _ in range(draws):
        chosen = np.concatenate([blocks[n] for n in rng.integers(len(blocks), size=len(blocks))])
        drawn = values[chosen]
        if (np.ptp(drawn, axis=0) == 0).any():
            continue
        try:
            found.append(list(_fitted(drawn, graph).rank_correlation().values()))
        except (InputError, np.linalg.LinAlgError):
            continue
    if not found:
        raise InputError(f"none of {draws} draws of {len(blocks)} years could be fitted; more years are due")
    low, high = np.quantile(np.array(found), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {arc: (float(a), float(b)) for arc, a, b in zip(graph.arcs, low, high, strict=True)}
