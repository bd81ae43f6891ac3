"""Two `phloem run` of one campaign at once: no harm, and nothing computed twice."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import count, differing, end, failures, merged, start, wait_for
from tests.support.engines.killing import Ledger, committed_attempts, descendants

pytestmark = pytest.mark.engine

Two = tuple["subprocess.Popen[str]", "subprocess.Popen[str]"]


@pytest.fixture
def two(four_planned: Path, tmp_path: Path) -> Iterator[Two]:
    """Two runs with a worker each, started together; each in a folder of its own."""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (start("run", four_planned, "--workers", "1", folder=folder) for folder in folders)
    yield one, other
    end(one)
    end(other)


def said(root: Path) -> str:
    return "".join((root.parent / name / "stderr").read_text() for name in ("one", "other"))


def test_both_end_well(four: Path, four_planned: Path, two: Two) -> None:
    assert [process.wait(400) for process in two] == [0, 0], said(four_planned)
    assert count(four_planned, "fresh") == count(four_planned, "finished") == 4, "no tile was computed twice"
    assert count(four_planned, "resumed") == 0
    assert failures(four_planned) == []
    assert set(committed_attempts(four_planned).values()) == {1}
    suppliers = {path.name for path in (four_planned / "journals").glob("*.jsonl")}
    assert len(suppliers) >= 2, "both have done some of it"
    assert differing(merged(four), merged(four_planned)) == set()


def test_one_is_killed_while_the_other_goes_on(four: Path, four_planned: Path, two: Two) -> None:
    one, other = two
    with Ledger(four_planned).watching() as ledger:
        wait_for("two tiles at once", lambda: len(ledger.holders()) == 2 or None not in (one.poll(), other.poll()))
        assert ledger.kill("group", [one.pid, *descendants(one.pid)])
        assert other.wait(400) == 0, said(four_planned)
    assert ledger.settle() >= 1
    assert [event["class"] for event in failures(four_planned)] == ["worker lost"]
    assert count(four_planned, "finished") == 4
    assert differing(merged(four), merged(four_planned)) == set()
