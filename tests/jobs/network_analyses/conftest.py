from pathlib import Path

import pytest

from phloem.io.files.sealed_json import write_sealed
from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.evaluated_trainings import CEILING, HELD_OUT, RUNS, TRUTH, write_evaluated


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of all set-ups over a made-up Earth whose truth is known, as it stands after `phloem run`."""
    folder = tmp_path_factory.mktemp("evaluated")
    path = write_evaluated(folder, {"ceiling": CEILING, "test": HELD_OUT}, campaign={"members": RUNS})
    write_sealed(folder / "patches" / "truth_partition.json", TRUTH)
    succeed("run", path, "--out", "made", folder=folder)
    return folder / "made"
