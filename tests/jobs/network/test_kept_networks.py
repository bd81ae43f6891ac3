"""Which networks count after a training."""

from __future__ import annotations

import numpy as np

from phloem.jobs.network.merge_networks import kept_networks
from phloem.jobs.network.table import NetworkTable

LOSSES = np.array([[5.0, 1.0, np.nan, 2.0, 4.0, 3.0], [np.nan] * 6])


def _table(**keys: int) -> NetworkTable:
    return NetworkTable.model_validate({"set_ups": ["PFT", "CLIM"], **keys})


def test_networks_of_the_least_loss_count() -> None:
    kept = kept_networks(LOSSES, _table(keep=3))
    assert kept.tolist() == [[False, True, False, True, False, True], [False] * 6]


def test_networks_are_chosen_within_each_fold_since_losses_are_of_other_patches() -> None:
    kept = kept_networks(LOSSES, _table(keep=2, folds=2))
    assert kept[0].tolist() == [False, True, False, False, True, False]
    assert kept_networks(LOSSES, _table(keep=1, folds=3))[0].sum() == 3, "one of each at least"
