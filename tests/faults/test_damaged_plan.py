"""The tile table and the frozen configuration go bad: read from the copy, or refused; never another plan."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.sealed_json import copy_of
from phloem.jobs.campaign.campaign import open_campaign
from tests.support.faults.damages import DAMAGES, Damage, neighbours, swapped

ALONE = tuple(damage for damage in DAMAGES if damage not in (neighbours, swapped))
"""The table has no neighbours of its kind."""

CAMPAIGN = """
[campaign]
name = "damaged"
members = 2
seed = {seed}
[data]
kind = "synthetic"
cells = 5
years = 2
[tiles]
cells = 2
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two campaigns that differ in their seed."""
    folder = tmp_path_factory.mktemp("planned")
    roots = []
    for seed in (1, 2):
        file = folder / f"{seed}.toml"
        file.write_text(CAMPAIGN.format(seed=seed))
        command = [Path(sys.executable).with_name("phloem"), "plan", file, "--out", folder / f"seed {seed}"]
        subprocess.run(command, check=True, capture_output=True)
        roots.append(folder / f"seed {seed}")
    return roots[0], roots[1]


def targets(paths: CampaignPaths) -> dict[str, list[Path]]:
    plan, copy = paths.plan, copy_of(paths.plan)
    return {"plan": [plan], "its copy": [copy], "both": [plan, copy], "configuration": [paths.configuration]}


def one_case(paths: CampaignPaths, files: list[Path], other: Path, damage: Damage, rng: np.random.Generator) -> str:
    whole = open_campaign(paths.root)
    before = {file: file.read_bytes() for file in files}
    for file in files:
        damage(rng, file, other / file.name)
    assert any(file.read_bytes() != data for file, data in before.items()), "nothing was damaged"
    try:
        found = open_campaign(paths.root)
    except InputError as error:
        return "refused" if str(paths.root) in str(error) else f"refused without its path: {error}"
    assert found.configuration.fingerprint() == whole.configuration.fingerprint()
    assert list(map(list, found.tiles)) == list(map(list, whole.tiles))
    assert [found.fingerprint(tile) for tile in range(3)] == [whole.fingerprint(tile) for tile in range(3)]
    if found.configuration != whole.configuration:
        # People may edit what no result depends on, so a lost line of it looks like such an edit.
        assert files == [paths.configuration]
        return "opened, the same but for settings that no result depends on"
    return "opened, and the same"


@pytest.mark.parametrize("rounds", [1, pytest.param(12, marks=pytest.mark.soak)])
def test_damaged_plan(planned: tuple[Path, Path], tmp_path: Path, record_property: Callable, rounds: int) -> None:
    outcomes: Counter[str] = Counter()
    root, other = planned
    paths = CampaignPaths(tmp_path / "broken")
    shutil.copytree(root, paths.root)
    whole = {path: path.read_bytes() for files in targets(paths).values() for path in files}
    for damage in ALONE:
        for name, files in targets(paths).items():
            for number in range(rounds):
                seed = [ALONE.index(damage), list(targets(paths)).index(name), number]
                where = f"{name}, {damage.__name__}, seed {seed}"
                try:
                    outcome = one_case(paths, files, other, damage, np.random.default_rng(seed))
                except Exception as error:
                    raise AssertionError(f"{where}: {error!r}") from error
                finally:
                    for path, data in whole.items():
                        path.write_bytes(data)
                assert outcome == "refused" or outcome.startswith("opened, "), f"{where}: {outcome}"
                if name == "its copy":
                    assert outcome == "opened, and the same", where
                if name == "both" or (name, damage.__name__) == ("configuration", "stale"):
                    assert outcome == "refused", where
                outcomes[f"{damage.__name__} {name}: {outcome}"] += 1
    assert outcomes.total() == rounds * len(ALONE) * len(targets(paths))
    for outcome, count in sorted(outcomes.items()):
        record_property("faults", f"{outcome}: {count}")
