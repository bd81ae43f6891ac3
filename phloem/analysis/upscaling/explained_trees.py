"""Fitted trees in the form that tree SHAP reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from phloem.analysis.upscaling.boosted_trees import FittedTrees, GradientTrees, HistogramTrees


def explainable(trees: FittedTrees) -> Any | None:
    """Return what `shap.TreeExplainer` takes; None for models that are no sum of trees of their predictors.

    Args:
        trees: of a member.
    """
    if isinstance(trees, GradientTrees):
        return trees.booster
    if not isinstance(trees, HistogramTrees):
        return None
    return {
        "trees": [_tree(nodes) for nodes in np.split(trees.nodes, np.cumsum(trees.lengths)[:-1])],
        "base_offset": float(trees.start),
        "tree_output": "raw_value",
        "objective": "squared_error",
        "input_dtype": np.float64,
        "internal_dtype": np.float64,
    }


def _tree(nodes: np.ndarray) -> dict[str, np.ndarray]:
    """Return one tree of scikit-learn; leaves have no children, and missing values go where the node sends them."""
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, -1, nodes[name].astype(np.int32)) for name in ("left", "right"))
    return {
        "children_left": left.astype(np.int32),
        "children_right": right.astype(np.int32),
        "children_default": np.where(nodes["missing_go_to_left"].astype(bool), left, right).astype(np.int32),
        "features": np.where(leaf, -2, nodes["feature_idx"].astype(np.int32)).astype(np.int32),
        "thresholds": nodes["num_threshold"].astype(np.float64),
        "values": nodes["value"].astype(np.float64).reshape(-1, 1),
        "node_sample_weight": nodes["count"].astype(np.float64),
    }
