"""A cell that crashes, hangs, takes all memory or raises is found, named and set aside; its neighbours finish."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from phloem.names import STATUS
from tests.support.campaigns.campaigns import count, differing, failures, merged, succeed, write_campaign
from tests.support.campaigns.poison import AGAIN, Poison, lanes, rows, status

pytestmark = pytest.mark.engine

KINDS = {"crash": "worker lost", "hang": "hang", "memory": "out of memory", "exception": "bug"}
"""What is done to a worker, and the failure class that it is told as."""

SAYS = {"crash": "SIGSEGV", "hang": "said nothing", "memory": "GiB", "exception": "has no solution"}
"""Part of the message of each."""

PATIENT = ("--set", "engine.hang_minutes=30")
"""For runs without a fault: a program of a new shape may compile for long on a busy machine."""


@pytest.fixture(scope="session")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed campaign of eight cells, one a tile."""
    folder = tmp_path_factory.mktemp("eight")
    succeed("run", write_campaign(folder, data={"cells": 8}, engine={"workers": 2}), "--out", "made", folder=folder)
    return folder / "made"


def name(cell: int) -> str:
    return f"T{cell:03d}"


def find_and_mend(folder: Path, reference: Path, kinds: Sequence[str], where: Sequence[int], width: int) -> None:
    """Run a campaign with one poison cell a tile, look at what is told, then take the poison away and retry.

    Args:
        folder: where.
        reference: an undisturbed campaign of the same cells.
        kinds: of the poison in each tile.
        where: position of the poison cell in each tile.
        width: cells a tile.
    """
    guilty = {
        name(tile * width + position): kind for tile, (kind, position) in enumerate(zip(kinds, where, strict=True))
    }
    poison = Poison(folder / "marks", [{"kind": kind, "cell": cell} for cell, kind in guilty.items()])
    said = poison.fail("run", "made.toml", "--out", "made", folder=folder, seconds=400 * len(kinds))
    root = folder / "made"

    deeds = poison.done()
    assert set(deeds) == set(kinds), "a fault that was not injected"
    told = {event["cell"]: event for event in status(root)["set_aside"]}
    assert {cell: event["class"] for cell, event in told.items()} == {
        cell: KINDS[kind] for cell, kind in guilty.items()
    }
    for cell, kind in guilty.items():
        assert SAYS[kind] in told[cell]["message"]
        assert f"{cell} (tile {told[cell]['tile']}): {KINDS[kind]}: {told[cell]['message']}" in said
    assert "phloem retry made --lanes" in said
    members = 2
    before = status(root)
    assert before["lanes"]["set_aside"] == members * len(guilty)
    assert before["tiles"] == {"done": len(kinds), "running": 0, "failed": 0, "pending": 0}

    aside = {lane for lane, value in lanes(root, "status").items() if value == STATUS["set_aside"]}
    assert aside == {(cell, member) for cell in guilty for member in range(members)}
    neighbours = {name(cell) for cell in range(width * len(kinds))} - set(guilty)
    assert rows(root, neighbours) == rows(reference, neighbours)

    last = next(reversed(guilty))
    poison.faults = [{"kind": "exception", "cell": last}]
    said = poison.fail("retry", root, "--lanes", "--only", "set_aside", *PATIENT, folder=folder)
    assert poison.done()["exception"] >= deeds["exception"] + 2, "with the others of the batch, and alone"
    assert f"{last} (tile {len(kinds)}): bug: cell '{last}' has no solution" in said
    assert [event["cell"] for event in status(root)["set_aside"]] == [last]
    assert status(root)["lanes"]["set_aside"] == members
    assert rows(root, neighbours | set(guilty) - {last}) == rows(reference, neighbours | set(guilty) - {last})

    finished, deeds = count(root, "finished"), poison.done()
    mended = succeed("retry", root, "--lanes", "--only", "set_aside", *PATIENT, folder=folder)
    assert f"{members} lanes are calibrated again" in mended
    assert poison.done() == deeds
    assert count(root, "finished") == finished + 1
    retried = lanes(root, "retried")
    first, second = len(kinds), len(kinds) + 1
    assert {lane: tile for lane, tile in retried.items() if tile >= 0} == {
        lane: second if lane[0] == last else first for lane in aside
    }, "one batch holds all lanes that were set aside"
    assert differing(merged(reference), merged(root), AGAIN) == set()
    after = status(root)
    assert after["set_aside"] == []
    ended = ("calibrated", "calibrated_after_redraw", "poor_basin", "dead_stand", "budget")
    assert sum(after["lanes"][name] for name in ended) == sum(after["lanes"].values())


def test_each_kind_is_found_named_and_mended(tmp_path: Path, eight: Path) -> None:
    engine = {"workers": 2, "hang_minutes": 0.75, "memory_gb": 1.5}
    write_campaign(tmp_path, data={"cells": 8}, tiles={"cells": 2}, engine=engine)
    find_and_mend(tmp_path, eight, list(KINDS), [0, 1, 0, 1], 2)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", list(KINDS))
def test_each_position_of_a_tile(tmp_path: Path, kind: str) -> None:
    engine = {"workers": 2, "hang_minutes": 2, "memory_gb": 1.5}
    (tmp_path / "plain").mkdir()
    plain = write_campaign(tmp_path / "plain", data={"cells": 25}, tiles={"cells": 5}, engine={"workers": 2})
    succeed("run", plain, "--out", "made", folder=tmp_path / "plain")
    write_campaign(tmp_path, data={"cells": 25}, tiles={"cells": 5}, engine=engine)
    find_and_mend(tmp_path, tmp_path / "plain" / "made", [kind] * 5, range(5), 5)


def test_a_tile_whose_every_cell_fails_is_no_matter_of_cells(tmp_path: Path, eight: Path) -> None:
    """Nothing is set aside: the tile fails, the others are done. One of a single cell is such a tile, too."""
    poison = Poison(tmp_path / "marks", [{"kind": "exception", "cell": name(cell)} for cell in (0, 1)])
    write_campaign(tmp_path, data={"cells": 8}, tiles={"cells": 2}, engine={"workers": 2})
    said = poison.fail("run", "made.toml", "--out", "made", folder=tmp_path)
    root = tmp_path / "made"
    assert poison.done()["exception"] >= 3, "together, and each alone"
    assert "tile 0 (T000, T001): bug 2x" in said
    assert "every cell of the tile fails alone too" in said
    assert f"phloem retry {root.name}" in said
    found = status(root)
    assert found["tiles"] == {"done": 3, "running": 0, "failed": 1, "pending": 0}
    assert found["set_aside"] == []
    assert not (root / "merged.nc").exists()
    succeed("retry", root, *PATIENT, folder=tmp_path)
    assert differing(merged(eight), merged(root)) == set()


def test_a_tile_of_one_cell_that_crashes_fails(tmp_path: Path, finished: Path) -> None:
    poison = Poison(tmp_path / "marks", [{"kind": "crash", "cell": "T001"}])
    said = poison.fail("run", write_campaign(tmp_path), "--out", "made", folder=tmp_path)
    root = tmp_path / "made"
    assert poison.done()["crash"] >= 3
    assert "tile 1 (T001)" in said
    assert "SIGSEGV" in said
    assert len(failures(root)) == sum(status(root)["failures"]["1"]["classes"].values())
    assert status(root)["tiles"]["done"] == 2
    succeed("retry", root, folder=tmp_path)
    assert differing(merged(finished), merged(root)) == set()


def test_where_everything_fails_alike_the_campaign_stops(tmp_path: Path, eight: Path) -> None:
    poison = Poison(tmp_path / "marks", [{"kind": "exception", "cell": "*"}])
    path = write_campaign(tmp_path, data={"cells": 8}, tiles={"cells": 2})
    said = poison.fail("run", path, "--out", "made", "--set", "failures.max_failures=2", folder=tmp_path)
    root = tmp_path / "made"
    assert poison.done() == {"exception": 2}, "two tiles were tried, and no third"
    assert "stopped: 2 tiles failed alike (bug: cell # has no solution)" in said
    assert len(failures(root)) == 2
    assert status(root)["stopped"]
    assert "was stopped" in poison.fail("run", root, folder=tmp_path)
    assert poison.done() == {"exception": 2}
    succeed("retry", root, *PATIENT, folder=tmp_path)
    assert not status(root)["stopped"]
    assert differing(merged(eight), merged(root)) == set()
