"""What runs the time loop: settled when a campaign is planned, frozen, and required of every worker."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from phloem.kernels.time_loop.backends import runs_here
from tests.support.campaigns.campaigns import command, succeed, write_campaign


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment in which no compiler is found."""
    (tmp_path / "empty").mkdir()
    return {"PATH": str(tmp_path / "empty"), "CC": ""}


def planned(root: Path) -> str:
    return str(tomllib.loads((root / "campaign.toml").read_text())["experiment"]["backend"])


def test_auto_is_settled_by_the_compiler_and_frozen(tmp_path: Path, nowhere: dict[str, str]) -> None:
    assert runs_here("cpu"), "the tests need a C compiler"
    file = write_campaign(tmp_path)
    succeed("plan", file, "--out", "with", folder=tmp_path)
    succeed("plan", file, "--out", "without", folder=tmp_path, **nowhere)
    assert (planned(tmp_path / "with"), planned(tmp_path / "without")) == ("cpu", "xla")

    succeed("run", file, "--out", "without", folder=tmp_path)  # auto goes on with what was planned
    assert planned(tmp_path / "without") == "xla"
    other = command("run", file, "--out", "without", "--set", "experiment.backend=cpu", folder=tmp_path)
    assert other.returncode == 2
    assert "experiment.backend: planned 'xla', now 'cpu'" in other.stderr


def test_a_worker_without_compiler_refuses_instead_of_rounding_otherwise(
    tmp_path: Path, nowhere: dict[str, str]
) -> None:
    file = write_campaign(tmp_path)
    refused = command("plan", file, "--out", "made", "--set", "experiment.backend=cpu", folder=tmp_path, **nowhere)
    assert refused.returncode == 2
    assert 'experiment.backend = "xla"' in refused.stderr
    assert not (tmp_path / "made").exists()

    succeed("plan", file, "--out", "made", folder=tmp_path)
    before = sorted(path for path in (tmp_path / "made").rglob("*"))
    refused = command("run", "made", folder=tmp_path, **nowhere)
    assert refused.returncode == 2
    assert "needs a C compiler" in refused.stderr
    assert sorted(path for path in (tmp_path / "made").rglob("*")) == before
    succeed("run", "made", folder=tmp_path)


def test_an_unknown_backend_is_refused_with_the_valid_ones(tmp_path: Path) -> None:
    done = command("plan", write_campaign(tmp_path), "--set", "experiment.backend=fortran", folder=tmp_path)
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("experiment.backend", "'auto'", "'xla'", "'cpu'"))
