"""Cascades: when they stop, which layer predicts, what a fold may see."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.analysis.upscaling.boosted_trees import trees_from_bytes
from phloem.analysis.upscaling.cascade import CascadeTrees, fit_cascade
from phloem.analysis.upscaling.upscaling_settings import TreeOptions
from phloem.errors import InputError

OPTIONS = TreeOptions(trees=5, depth=2, learning_rate=0.3, min_child_weight=1.0, bins=32)


def table(noise: float = 0.5, towers: int = 9, months: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    group = np.repeat(np.arange(towers), months)
    x = draw.normal(size=(len(group), 4)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + x[:, 2] + noise * draw.normal(size=len(group))
    return x, y, group


def test_cascade_stops_after_its_patience_and_keeps_layers_up_to_the_best() -> None:
    x, y, group = table(noise=3.0)
    for patience in (1, 2):
        found = fit_cascade(x, y, group, OPTIONS, 0, patience=patience, regressors=2)
        best = int(np.argmin(found.scores)) + 1
        assert len(found.layers) == best
        assert len(found.scores) == best + patience < 10


def test_cascade_ends_at_its_greatest_number_of_layers() -> None:
    found = fit_cascade(*table(noise=0.0), OPTIONS, 0, regressors=2, max_layers=3, patience=5)
    assert len(found.scores) == 3
    assert len(found.layers) == 1 + int(np.argmin(found.scores))


def test_prediction_is_that_of_the_best_layer() -> None:
    x, y, group = table(noise=3.0)
    patient = fit_cascade(x, y, group, OPTIONS, 0, patience=3, regressors=2)
    hasty = fit_cascade(x, y, group, OPTIONS, 0, regressors=2, max_layers=len(patient.layers))
    assert len(patient.scores) > len(hasty.scores)
    assert patient.predict(x).tobytes() == hasty.predict(x).tobytes()


def test_rows_of_a_tower_are_on_one_side_of_every_split() -> None:
    # The flux is a number of each tower, which a predictor names: nothing of it can be learned from other towers.
    draw = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 20)
    level = draw.normal(size=30)
    x = np.stack([draw.permutation(30)[group], draw.normal(size=600)], axis=1).astype(np.float32)
    grouped = fit_cascade(x, level[group], group, OPTIONS, 0, regressors=2)
    leaking = fit_cascade(x, level[group], draw.permutation(group), OPTIONS, 0, regressors=2)
    assert min(grouped.scores) > 0.8 * level.var()
    assert min(leaking.scores) < 0.6 * level.var()


def test_cascade_from_its_bytes_predicts_the_same_bits() -> None:
    x, y, group = table()
    fitted = fit_cascade(x, y, group, OPTIONS, 0, [1, 0, 0, 0], regressors=3)
    read = trees_from_bytes(fitted.to_bytes())
    assert isinstance(read, CascadeTrees)
    assert read.scores == fitted.scores
    assert read.predict(x[:33]).tobytes() == fitted.predict(x)[:33].tobytes()


def test_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    x, y, group = table()
    one, again, other = (fit_cascade(x, y, group, OPTIONS, seed, regressors=2).to_bytes() for seed in (0, 0, 1))
    assert one == again != other


def test_too_few_towers_for_the_folds_are_refused() -> None:
    x, y, group = table(towers=2)
    with pytest.raises(InputError, match="2 towers"):
        fit_cascade(x, y, group, OPTIONS, 0)
