"""Boosted trees of depth 6 or less applied to rows in blocks of 64, each node one comparison of 64 bytes.

A library's trees are followed row by row, 1 to 2 us for a row and 100 trees of depth 6. Here predictors are coded by
how many of the model's thresholds they reach, a byte each, and all rows of a block go down a tree together; sums are
taken in the same order and precision, so the bits are those of the library (benchmarks/apply_fluxes.py).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from phloem.kernels.time_loop.cpu.c_compiler import CompileError, load

DEPTH = 6
"""Greatest depth of a tree."""

NODES, LEAVES = 2**DEPTH - 1, 2**DEPTH
TABLE = 255
"""Most thresholds of one predictor: codes are bytes."""

SOURCE = Path(__file__).with_name("coded_trees.c")


@dataclass(frozen=True, eq=False)
class CodedTrees:
    """Trees as full ones of depth 6; where one ends above, all leaves below are its.

    Attributes:
        features: predictors that rows have.
        used: those that stand in any node, int32 (used,).
        halves: the greatest power of two that is no more than the number of thresholds of each, int32 (used,).
        tables: thresholds of each, ascending, NaN behind them, float32 (used, 256).
        column: of each node, position in `used`, or that plus their number where missing values go left, uint16
            (trees, 63).
        threshold: a row goes left whose code is below, uint8 (trees, 63).
        leaf: float32 (trees, 64).
        start: sum before any tree.
    """

    features: int
    used: np.ndarray
    halves: np.ndarray
    tables: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    leaf: np.ndarray
    start: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return predictions, float32 (rows,).

        Args:
            x: predictors, float32 (rows, features), NaN where missing.

        Raises:
            ValueError: another number of predictors.
            CompileError: no C compiler works.
        """
        x = np.ascontiguousarray(x, np.float32)
        if x.ndim != 2 or x.shape[1] != self.features:
            raise ValueError(f"predictors of shape {x.shape}; (rows, {self.features}) are due")
        out = np.empty(len(x), np.float32)
        work = np.empty(2 * max(1, len(self.used)) * 64, np.uint8)
        arrays = x, self.used, self.halves, self.tables, self.column, self.threshold, self.leaf, work, out
        x_, used, halves, tables, column, threshold, leaf, work_, out_ = (
            one.ctypes.data_as(ctypes.c_void_p) for one in arrays
        )
        _function()(
            x_, ctypes.c_int64(len(x)), ctypes.c_int(self.features), used, ctypes.c_int(len(self.used)), halves, tables,
            ctypes.c_int(len(self.leaf)), column, threshold, leaf, ctypes.c_float(self.start), work_, out_,
        )  # fmt: skip
        return out


@cache
def _function() -> Any:
    """The compiled function."""
    _, library = load(SOURCE.read_text(encoding="utf-8"), "coded_trees")
    function = library.phloem_add_trees
    function.restype = None
    return function


@cache
def can_compile() -> bool:
    """Return whether there is a compiler that makes the library."""
    try:
        _function()
    except CompileError:
        return False
    return True


@dataclass(frozen=True, eq=False)
class TreeNodes:
    """Nodes of one tree, the root first.

    Attributes:
        left, right: positions of the nodes below, -1 of a leaf, (nodes,).
        feature: that is compared.
        value: threshold of a node, below which a row goes left; prediction of a leaf; float32.
        missing_left: whether rows without a value go left.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    value: np.ndarray
    missing_left: np.ndarray


def code_trees(trees: list[TreeNodes], features: int, start: float) -> CodedTrees | None:
    """Return trees in coded form; None where one is deeper than `DEPTH` or a predictor has too many thresholds.

    Args:
        trees: in the order of their sum.
        features: predictors that rows have.
        start: sum before any tree.
    """
    inner = [tree.left >= 0 for tree in trees]
    of_nodes = np.concatenate([np.empty(0, np.int64), *(t.feature[i] for t, i in zip(trees, inner, strict=True))])
    values = np.concatenate([np.empty(0, np.float32), *(t.value[i] for t, i in zip(trees, inner, strict=True))])
    used = np.unique(of_nodes).astype(np.int32)
    thresholds = [np.unique(values[of_nodes == feature]) for feature in used]
    if any(len(one) > TABLE for one in thresholds) or 2 * len(used) > np.iinfo(np.uint16).max:
        return None
    tables = np.full((len(used), TABLE + 1), np.nan, np.float32)
    for row, one in zip(tables, thresholds, strict=True):
        row[: len(one)] = one
    shape = len(trees), NODES
    coded = CodedTrees(
        features,
        used,
        np.array([1 << (len(one).bit_length() - 1) for one in thresholds], np.int32),
        tables,
        np.zeros(shape, np.uint16),
        np.zeros(shape, np.uint8),
        np.zeros((len(trees), LEAVES), np.float32),
        start,
    )
    place = {int(feature): number for number, feature in enumerate(used)}
    for number, tree in enumerate(trees):
        if not _lay_out(coded, number, tree, place, thresholds):
            return None
    return coded


def _lay_out(
    coded: CodedTrees, number: int, tree: TreeNodes, place: dict[int, int], thresholds: list[np.ndarray]
) -> bool:
    """Put one tree into the full form; whether it fits."""
    waiting = [(0, 0, 0)]
    while waiting:
        node, slot, level = waiting.pop()
        if tree.left[node] < 0:
            width = 2 ** (DEPTH - level)
            first = (slot - (2**level - 1)) * width
            coded.leaf[number, first : first + width] = tree.value[node]
            continue
        if level == DEPTH:
            return False
        row = place[int(tree.feature[node])]
        coded.column[number, slot] = row + (len(coded.used) if tree.missing_left[node] else 0)
        coded.threshold[number, slot] = 1 + np.searchsorted(thresholds[row], tree.value[node])
        waiting += [(int(tree.left[node]), 2 * slot + 1, level + 1), (int(tree.right[node]), 2 * slot + 2, level + 1)]
    return True
