"""The truth's own partition: shares of groups that add up, and that follow what the truth was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.files.sealed_json import read_sealed
from phloem.jobs.config.globe_file import Globe
from phloem.jobs.synthetic.globe.globe_partition import STREAMS, make_truth_partition
from phloem.jobs.synthetic.globe.globe_store import make_globe
from phloem.names import PREDICTOR_GROUPS
from tests.support.patches import made_store


def test_shares_add_up_and_all_groups_come_near_the_ceiling(tmp_path: Path) -> None:
    choice = Globe(geography="made-up", patches=60, cells=6, step=1.0, years=3, test_share=0.3)
    store = make_globe(tmp_path / "store", choice)
    found = read_sealed(make_truth_partition(store))
    assert found["groups"] == list(PREDICTOR_GROUPS)
    assert len(found["scores"]) == 16
    for stream in STREAMS:
        parts = [found["independent"][group][stream] for group in PREDICTOR_GROUPS]
        assert sum(parts) == pytest.approx(found["total"][stream], abs=1e-12)
        assert sum(found["share"][group][stream] for group in PREDICTOR_GROUPS) == pytest.approx(1)
        more = [found["beyond_forcing"]["independent"][group][stream] for group in PREDICTOR_GROUPS]
        assert sum(more) == pytest.approx(found["total"][stream] - found["scores"]["none"][stream], abs=1e-12)
        assert found["scores"]["PFT+CLIM+AGE+SOIL"][stream] == found["total"][stream]
        assert all(0 <= score[stream] <= 1 for score in found["scores"].values())
    assert found["total"]["lai"] > 0.5
    both, soil = (found["scores"][name] for name in ("PFT+CLIM", "SOIL"))
    assert np.mean([both[one] for one in STREAMS]) > np.mean([soil[one] for one in STREAMS]) + 0.05


def test_store_without_a_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store of a synthetic Earth"):
        make_truth_partition(made_store(tmp_path))
