"""The score that the truth itself has, by the pairs by which networks are scored."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.analysis.network.patch_pairs import SIMULATED, PairRules, patch_pairs
from phloem.jobs.synthetic.globe.globe_truth import WARM_UP, scored_pairs
from phloem.names import PATCH_STREAMS, STATIC_STREAMS

MONTHS, CELLS = 48, 5


@pytest.mark.parametrize("stream", ["sif", "lai", "nbe", "fire", "soil_carbon", "tower_gpp", "et"])
def test_pairs_of_the_truth_are_those_by_which_networks_are_scored(stream: str) -> None:
    rng = np.random.default_rng(3)
    coarse, still = stream in PATCH_STREAMS, stream in STATIC_STREAMS
    label = rng.normal(size=MONTHS if coarse else CELLS if still else (MONTHS, CELLS))
    label[rng.random(label.shape) > 0.6] = np.nan
    if label.ndim == 2:
        label[30] = np.nan
    simulated = rng.normal(size=(MONTHS, CELLS))
    if still:
        simulated[:] = simulated[0]
    everywhere = np.broadcast_to(label[:, None] if coarse else label, (MONTHS, CELLS))
    outputs = dict.fromkeys(SIMULATED[stream], simulated)
    due = patch_pairs(outputs, {stream: everywhere}, None, PairRules(WARM_UP))[stream]
    seen = np.isfinite(due.observed)
    ours = simulated.mean(1) if coarse else simulated[0] if still else simulated
    y, x = scored_pairs(stream, label, ours)
    np.testing.assert_allclose(y, due.observed[seen], rtol=1e-12)
    np.testing.assert_allclose(x, due.simulated[seen], rtol=1e-12)
