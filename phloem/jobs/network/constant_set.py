"""The constant set: one set of quantities for all cells, fitted to training patches and scored on others.

The baseline of every network: what predictors are worth is what a network gains over it. It is a network whose weights
are all 0 but the biases of its heads, and so has the network's own loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from phloem.analysis.benchmark.skill_scores import Metrics, metrics
from phloem.errors import InputError, WorkError
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.splits import held_out
from phloem.jobs.network.constant_network import loss_and_slope, months_of, quantities_table
from phloem.jobs.network.stored_cells import COUPLED, cells_of, cells_together
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.network.patch_cells import MonthAxis, PatchCells, patch_of_cells
from phloem.kernels.network.set_ups import HEMISPHERE
from phloem.kernels.network.training_loss import Patch, TrainingLoss
from phloem.kernels.objective.bounded_log import physical

_NO_PREDICTORS = {HEMISPHERE: (0.0, 1.0)}
_SPREAD = 0.5
"""Standard deviation of the unbounded values at which a start begins."""


Pairs = tuple[np.ndarray, np.ndarray]
"""Simulated and observed values."""


@dataclass(frozen=True)
class ConstantFit:
    """How a constant set is fitted: Adam on the loss of all training cells together.

    Attributes:
        steps: of each start.
        learning_rate: at first; it falls to nothing as a cosine.
        starts: the first from the middle of all logarithms, the others from random ones; the best is kept.
        seed: of the others.
        precision: `float32` or `float64`.
    """

    steps: int = 400
    learning_rate: float = 0.05
    starts: int = 3
    seed: int = 0
    precision: str = "float32"


class ConstantScores(NamedTuple):
    """Scores over all cells and months together.

    Attributes:
        train: at the cells that were trained on, by flux or stream.
        test: at the others.
    """

    train: dict[str, Metrics]
    test: dict[str, Metrics]


@dataclass(frozen=True, eq=False)
class ConstantBaseline:
    """A constant set.

    Attributes:
        quantities: physical values of the 40, by name.
        raw: the same, unbounded, (40,).
        losses: of the best start, before each step and after the last, (steps + 1,).
        starts: last loss of each start.
        scores: of its months, tower_gpp, tower_reco, tower_nee, tower_et, lai, sif and et, where there are labels.
        months: simulated and observed values of all months and cells of the patches that it is scored on, by the same.
    """

    quantities: dict[str, float]
    raw: np.ndarray
    losses: np.ndarray
    starts: tuple[float, ...]
    scores: ConstantScores
    months: dict[str, Pairs]


def constant_baseline(
    store: PatchStore,
    train: Sequence[int],
    test: Sequence[int],
    fit: ConstantFit | None = None,
    loss: TrainingLoss | None = None,
) -> ConstantBaseline:
    """Fit one set of quantities to some patches of a store and score it on others.

    Args:
        store: of patches.
        train: positions of those that are fitted.
        test: of those that it is scored on; none of them is trained on.
        fit: how.
        loss: of a patch; its mode is that of the model.

    Raises:
        InputError: no patch to train on, or one that is in both.
        WorkError: no start ended with a finite loss.
    """
    fit, loss = fit or ConstantFit(), loss or TrainingLoss()
    both = sorted(set(train) & set(test))
    if not train or both:
        why = f"{', '.join(store.names[place] for place in both)} in both" if both else "none to train on"
        raise InputError(f"{store.paths.root}: patches of the constant set: {why}")
    work = _Work(store, fit, loss)
    patches = work.patches(train)
    walks = [work.walk(patches, start) for start in work.starts()]
    ends = [float(losses[-1]) for _, losses in walks]
    if not np.isfinite(ends).any():
        raise WorkError(f"{store.paths.root}: the constant set has no finite loss in any of {fit.starts} starts")
    raw, losses = walks[int(np.nanargmin(np.where(np.isfinite(ends), ends, np.nan)))]
    values = physical(jnp.asarray(raw, float)[:, None], quantities_table(loss))[:, 0]
    quantities = {one.name: float(value) for one, value in zip(UNKNOWNS, values, strict=True)}
    months = work.months(raw, test)
    scores = ConstantScores(_scores(work.months(raw, train)), _scores(months))
    return ConstantBaseline(quantities, raw, losses, tuple(ends), scores, months)


def constant_over_folds(
    store: PatchStore, folds: int, seed: int, fit: ConstantFit | None = None, loss: TrainingLoss | None = None
) -> dict[str, Metrics]:
    """Return scores where each patch is held out once: a constant set is fitted to the others of each fold.

    Args:
        store: of patches.
        folds: at least 2.
        seed: of the choice of patches.
        fit: how.
        loss: of a patch.

    Raises:
        InputError, WorkError: as of `constant_baseline`.
    """
    together: dict[str, list[Pairs]] = {}
    for fold in range(folds):
        test = held_out(store.names, 0.0, seed, folds, fold)
        train = [place for place in range(len(store)) if place not in test]
        for name, pairs in constant_baseline(store, train, test, fit, loss).months.items():
            together.setdefault(name, []).append(pairs)
    return _scores({name: _side_by_side(pairs) for name, pairs in together.items()})


def simulate_constant(
    store: PatchStore, position: int, raw: np.ndarray, fit: ConstantFit | None = None, loss: TrainingLoss | None = None
) -> dict[str, np.ndarray]:
    """Return what a constant set gives at the cells of a patch, by what it is compared with, (months, cells).

    Args:
        store: of patches.
        position: of the patch.
        raw: unbounded quantities, (40,).
        fit: its precision.
        loss: its mode and backend.
    """
    work = _Work(store, fit or ConstantFit(), loss or TrainingLoss())
    cells = work.cells(position)
    return work.outputs(raw, work.patch(cells), len(cells))


@dataclass(frozen=True)
class _Work:
    store: PatchStore
    fit: ConstantFit
    loss: TrainingLoss

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.fit.precision)

    def starts(self) -> list[np.ndarray]:
        draws = np.random.default_rng(self.fit.seed).normal(0, _SPREAD, (self.fit.starts, len(UNKNOWNS)))
        draws[0] = 0.0
        return list(draws)

    def patches(self, positions: Sequence[int]) -> list[Patch]:
        """Patches of one shape: all cells together where the loss is a sum over cells, else patch after patch."""
        if any(self.store.count_labels(stream) for stream in COUPLED):
            return [self.patch(self.cells(place)) for place in positions]
        together = cells_together([self.store.read(place) for place in positions], self.store.co2, self.loss.mode)
        return [self.patch(together, len(together))]

    def cells(self, place: int) -> PatchCells:
        """Cells of a patch, in the arithmetic of the loss's mode."""
        return cells_of(self.store.read(place), self.store.co2, self.loss.mode)

    def patch(self, cells: PatchCells, rows: int = 0) -> Patch:
        months = MonthAxis(self.store.first_month, self.store.months)
        return patch_of_cells(
            cells, months, _NO_PREDICTORS, rows or self.store.rows, mode=self.loss.mode, dtype=self.dtype.type
        )

    def walk(self, patches: Sequence[Patch], start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where Adam ends, and the losses on its way."""
        raw = jnp.asarray(start, self.dtype)
        state, losses = _adam(self.fit).init(raw), []
        for step in range(self.fit.steps + 1):
            parts = [loss_and_slope(self.loss, raw, patch) for patch in patches]
            losses.append(float(sum(float(value) for value, _ in parts)))
            if step == self.fit.steps or not np.isfinite(losses[-1]):
                break
            raw, state = _moved(self.fit, raw, state, sum((one for _, one in parts[1:]), parts[0][1]))
        return np.asarray(raw), np.array(losses)

    def months(self, raw: np.ndarray, positions: Sequence[int]) -> dict[str, Pairs]:
        """Simulated and observed months of all cells of some patches."""
        found: dict[str, list[Pairs]] = {}
        for place in positions:
            cells = self.cells(place)
            outputs = self.outputs(raw, self.patch(cells), len(cells))
            for name, values in _observed(cells.labels).items():
                found.setdefault(name, []).append((outputs[name].ravel(), values.ravel()))
        return {name: _side_by_side(pairs) for name, pairs in found.items()}

    def outputs(self, raw: np.ndarray, patch: Patch, cells: int) -> dict[str, np.ndarray]:
        """Return the months of a patch's cells, by what they are compared with, (months, cells)."""
        kept = months_of(self.loss, self.store.months, jnp.asarray(raw, self.dtype), patch)
        gpp, nee, et, lai, sif = np.asarray(kept[..., :cells], float)
        return {
            "tower_gpp": gpp, "tower_reco": gpp + nee, "tower_nee": nee, "tower_et": et, "lai": lai, "sif": sif,
            "et": et,
        }  # fmt: skip


def _adam(fit: ConstantFit) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(fit.learning_rate, max(fit.steps, 1)))


@partial(jax.jit, static_argnums=0)
def _moved(fit: ConstantFit, raw: Array, state: Any, slope: Array) -> tuple[Array, Any]:
    change, new = _adam(fit).update(slope, state, raw)
    moved: Array = optax.apply_updates(raw, change)
    return moved, new


def _observed(labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Labels by month; net exchange where both its parts are observed."""
    names = ("tower_gpp", "tower_reco", "tower_et", "lai", "sif", "et")
    found = {name: np.asarray(labels[name], float) for name in names if name in labels}
    if {"tower_gpp", "tower_reco"} <= set(found):
        found["tower_nee"] = found["tower_reco"] - found["tower_gpp"]
    return found


def _side_by_side(pairs: Sequence[Pairs]) -> Pairs:
    return np.concatenate([one for one, _ in pairs]), np.concatenate([other for _, other in pairs])


def _scores(months: Mapping[str, Pairs]) -> dict[str, Metrics]:
    return {name: metrics(*pairs) for name, pairs in months.items()}
