import os
from pathlib import Path

import numpy as np
import pytest

from phloem.io.campaign.checkpoints import drop_checkpoint, load_checkpoint, save_checkpoint
from phloem.io.campaign.paths import CampaignPaths


@pytest.fixture
def paths(tmp_path: Path) -> CampaignPaths:
    return CampaignPaths(tmp_path).make()


def save(paths: CampaignPaths, step: int, fingerprint: str = "f") -> None:
    arrays = {"step": np.array([step]), "state": np.random.default_rng(step).normal(size=(7, 3)).astype("f4")}
    save_checkpoint(paths, 4, arrays, {"fingerprint": fingerprint, "rate": 0.5})


def step_of(paths: CampaignPaths, fingerprint: str = "f") -> int | None:
    loaded = load_checkpoint(paths, 4, fingerprint)
    return None if loaded is None else int(loaded[0]["step"][0])


def test_two_generations_are_kept(paths: CampaignPaths) -> None:
    assert step_of(paths) is None
    for step in (1, 2, 3):
        save(paths, step)
        assert step_of(paths) == step
    arrays, attributes = load_checkpoint(paths, 4, "f") or ({}, {})
    assert arrays["state"].dtype == np.float32
    assert arrays["state"].tobytes() == np.random.default_rng(3).normal(size=(7, 3)).astype("f4").tobytes()
    assert attributes == {"fingerprint": "f", "rate": 0.5}
    assert sorted(os.listdir(paths.checkpoints_dir)) == ["tile_00004.h5", "tile_00004.previous.h5"]
    drop_checkpoint(paths, 4)
    drop_checkpoint(paths, 4)
    assert step_of(paths) is None
    assert os.listdir(paths.checkpoints_dir) == []


@pytest.mark.parametrize("length", [0, 10, 512, 513, 2000, -1])
def test_a_torn_newest_falls_back_to_the_previous(paths: CampaignPaths, length: int) -> None:
    save(paths, 1)
    save(paths, 2)
    newest = paths.checkpoint(4)
    newest.write_bytes(newest.read_bytes()[:length])
    assert step_of(paths) == 1
    save(paths, 3)
    newest.write_bytes(newest.read_bytes()[:length])
    assert step_of(paths) == 1, "a torn generation must never replace a whole one"
    newest.unlink()
    assert step_of(paths) == 1
    paths.checkpoint_previous(4).write_bytes(b"torn")
    assert step_of(paths) is None


def test_another_computation_is_not_resumed(paths: CampaignPaths) -> None:
    save(paths, 1, "old configuration")
    save(paths, 2, "new configuration")
    assert step_of(paths, "new configuration") == 2
    assert step_of(paths, "old configuration") == 1
    assert step_of(paths, "third") is None
    with pytest.raises(ValueError, match="'fingerprint'"):
        save_checkpoint(paths, 4, {}, {})
