import contextlib
import itertools
import multiprocessing
import os
import random
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phloem.io.campaign import tiles
from phloem.io.campaign.attempts import LEASE_SECONDS, count_attempts
from phloem.io.campaign.checkpoints import drop_checkpoint, load_checkpoint, save_checkpoint
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import (
    StaleAttempt,
    TileState,
    inspect_tile,
    load_tile,
    quarantine,
    read_commits,
    sweep,
    write_tile,
)
from phloem.io.files.atomic import CorruptFile, checksum
from phloem.io.files.journals import append_event, read_events
from tests.support.campaigns.campaign_samples import (
    ATTRIBUTES,
    SCHEMA,
    cells_of,
    claim_many,
    commit,
    killed_at_call,
    tile_arrays,
    work_until_killed,
)
from tests.support.campaigns.claims import claim_next

SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def paths(tmp_path: Path) -> CampaignPaths:
    return CampaignPaths(tmp_path / "campaign").make()


@pytest.fixture(scope="session")
def children() -> ForkServerContext:
    """Forks quickly from a clean process, whatever threads this one has."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["phloem.io.campaign.tiles", "phloem.io.campaign.checkpoints"])
    return context


def test_commit_and_read(paths: CampaignPaths) -> None:
    assert inspect_tile(paths, 0) is TileState.MISSING
    arrays = tile_arrays(cells_of(0))
    sha256 = write_tile(paths, 0, claim_next(paths, 0), SCHEMA, arrays, ATTRIBUTES)
    assert inspect_tile(paths, 0) is TileState.DONE
    assert sha256 == checksum(paths.tile(0).read_bytes())
    found, attributes, _ = load_tile(paths, 0, SCHEMA)
    assert {name: (a.dtype.str, a.tobytes()) for name, a in found.items()} == {
        name: (a.dtype.str, a.tobytes()) for name, a in arrays.items()
    }
    assert attributes == {**ATTRIBUTES, "tile": 0, "schema": 1}
    assert os.listdir(paths.tiles_dir) == ["tile_00000.h5"]
    events = [(event["event"], event["attempt"]) for event in read_events(paths.journals_dir)]
    assert events == [("prepared", 1), ("committed", 1)]


def _with(name: str, value: object) -> dict:
    return {**tile_arrays(cells_of(0)), name: value}


def _spoilt(name: str) -> dict:
    arrays = tile_arrays(cells_of(0))
    arrays[name] = arrays[name].copy()
    arrays[name][np.isin(arrays["status"], (0, 1))] = np.inf
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (_with("surplus", np.zeros(3)), "'surplus' is not one of cell, latitude"),
        ({k: v for k, v in tile_arrays(["a"]).items() if k != "loss"}, "'loss' is missing"),
        (_with("loss", np.zeros((3, 4))), "'loss': 4 along 'member', where 5 are due"),
        (_with("nnse", np.zeros((3, 5))), "'nnse': shape"),
        (_with("nnse", np.zeros((3, 5, 3))), "'nnse': 3 along 'stream', where 4 are due"),
        (_with("loss", np.zeros((3, 5), "i8")), "'loss': dtype int64"),
        (_with("iterations", np.zeros((3, 5), "i8")), "'iterations': dtype int64"),
        (_with("status", np.full((3, 5), 3, "i1")), r"'status': \[3\]"),
        (_with("cell", np.array(["a", "b", "a"])), "'cell': identifiers must be unique"),
        (_with("cell", np.arange(3)), "'cell': dtype int64, text is due"),
        *[(_spoilt(n), f"'{n}': not finite in cell") for n in ("parameters", "loss", "raw", "best_raw")],
    ],
)
def test_wrong_arrays_are_refused_by_name(paths: CampaignPaths, arrays: dict, message: str) -> None:
    attempt = claim_next(paths, 0)
    with pytest.raises(ValueError, match=message):
        write_tile(paths, 0, attempt, SCHEMA, arrays, ATTRIBUTES)
    assert inspect_tile(paths, 0) is TileState.MISSING
    assert read_events(paths.journals_dir) == []


def test_an_attempt_must_be_claimed_and_leave_no_trace_in_the_file(paths: CampaignPaths) -> None:
    for attempt in (0, 1):
        with pytest.raises(ValueError, match="never claimed"):
            write_tile(paths, 0, attempt, SCHEMA, tile_arrays(["a"]), ATTRIBUTES)
    with pytest.raises(ValueError, match="'attempt'"):
        write_tile(paths, 0, claim_next(paths, 0), SCHEMA, tile_arrays(["a"]), {"attempt": 1})


def test_stale_commits_are_refused_or_proved_equal(paths: CampaignPaths) -> None:
    arrays, other = tile_arrays(cells_of(0)), tile_arrays(cells_of(0), salt=1)
    old, new = claim_next(paths, 0), claim_next(paths, 0)
    with pytest.raises(StaleAttempt, match="attempt 1 is stale"):
        write_tile(paths, 0, old, SCHEMA, arrays, ATTRIBUTES)
    assert inspect_tile(paths, 0) is TileState.MISSING
    assert list(paths.tiles_dir.iterdir()) == []
    sha256 = write_tile(paths, 0, new, SCHEMA, arrays, ATTRIBUTES)
    assert write_tile(paths, 0, old, SCHEMA, arrays, ATTRIBUTES) == sha256
    for attempt in (old, new, claim_next(paths, 0)):
        with pytest.raises(StaleAttempt):
            write_tile(paths, 0, attempt, SCHEMA, other, ATTRIBUTES)
    assert checksum(paths.tile(0).read_bytes()) == sha256
    assert inspect_tile(paths, 0) is TileState.DONE


def test_a_damaged_tile_is_replaced_by_the_newest_attempt_only(paths: CampaignPaths) -> None:
    sha256 = commit(paths, 0, cells_of(0))
    paths.tile(0).write_bytes(paths.tile(0).read_bytes()[:-1])
    newest = claim_next(paths, 0)
    with pytest.raises(StaleAttempt):
        write_tile(paths, 0, 1, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES)
    assert write_tile(paths, 0, newest, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES) == sha256
    assert inspect_tile(paths, 0) is TileState.DONE
    assert os.listdir(paths.quarantine_dir) == ["tile_00000.h5.1"]
    assert load_tile(paths, 0, SCHEMA)[2] == 1, "the first attempt that had these bytes"


@settings(SAME_FOLDER, max_examples=60)
@given(st.data())
def test_truncation_and_flipped_bits_lead_to_quarantine(paths: CampaignPaths, data: st.DataObject) -> None:
    if inspect_tile(paths, 0) is TileState.MISSING:
        commit(paths, 0, cells_of(0))
    path = paths.tile(0)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "truncate"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    else:
        bit = data.draw(st.integers(0, len(content) * 8 - 1), "bit")
        content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    assert inspect_tile(paths, 0, read_commits(paths)) is TileState.CORRUPT
    with pytest.raises(CorruptFile):
        load_tile(paths, 0, SCHEMA)
    moved = quarantine(paths, path, "test")
    assert moved is not None
    assert moved.read_bytes() == content
    assert inspect_tile(paths, 0) is TileState.MISSING
    assert read_events(paths.journals_dir)[-1]["moved_to"] == moved.name
    assert quarantine(paths, path, "again") is None


def test_a_whole_file_in_the_wrong_place_is_corrupt(paths: CampaignPaths) -> None:
    commit(paths, 0, cells_of(0))
    os.link(paths.tile(0), paths.tile(1))
    assert inspect_tile(paths, 1) is TileState.CORRUPT
    for journal in paths.journals_dir.iterdir():
        journal.unlink()
    assert inspect_tile(paths, 0) is TileState.CORRUPT, "no journal knows it"


def test_sweep_takes_temporary_files_and_nothing_else(paths: CampaignPaths) -> None:
    commit(paths, 0, cells_of(0))
    save_checkpoint(paths, 0, {}, {"fingerprint": "f"})
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    stray = [
        paths.tile_temporary(0, 1),
        paths.checkpoint(0).with_name("tile_00000.h5.0a1b.tmp"),
        paths.merged_temporary(socket.gethostname(), 2**22 + 1),
    ]
    os.link(paths.tile(0), stray[0])
    for path in stray[1:]:
        path.write_bytes(b"torn")
    assert sorted(sweep(paths)) == sorted(stray)
    assert {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()} == before
    assert sweep(paths) == []


def test_sweep_leaves_the_merge_of_another_machine_until_it_is_silent(paths: CampaignPaths) -> None:
    elsewhere, dead = paths.merged_temporary("elsewhere", 1), paths.merged_temporary("gone", 1)
    for path in (elsewhere, dead):
        path.write_bytes(b"half")
    then = elsewhere.stat().st_mtime - LEASE_SECONDS
    os.utime(dead, (then, then))
    assert sweep(paths) == [dead]
    os.utime(elsewhere, (then, then))
    assert sweep(paths) == [elsewhere]


def test_attempts_claimed_at_the_same_time_differ(paths: CampaignPaths, children: ForkServerContext) -> None:
    workers, each = 3, 150
    barrier = children.Barrier(workers)
    ends, running = [], []
    for _ in range(workers):
        end, told = children.Pipe(duplex=False)
        process = children.Process(target=claim_many, args=(paths.root, each, barrier, told))
        process.start()
        ends.append(end)
        running.append(process)
    claims = [end.recv() for end in ends]
    for process in running:
        process.join()
    assert sorted(itertools.chain.from_iterable(claims)) == list(range(1, workers * each + 1))
    assert count_attempts(paths, 0) == workers * each
    assert any(list(range(c[0], c[0] + each)) != c for c in claims), "the claims did not interleave"


@pytest.mark.parametrize("salt", [0, 1])
def test_attempt_overtaken_between_its_last_look_and_its_commit(
    paths: CampaignPaths, monkeypatch: pytest.MonkeyPatch, salt: int
) -> None:
    overtaken = []

    def slow_append(*args: Any) -> None:
        monkeypatch.undo()
        overtaken.append(commit(paths, 0, cells_of(0), salt=salt))
        append_event(*args)

    old = claim_next(paths, 0)
    monkeypatch.setattr(tiles, "append_event", slow_append)
    if salt == 0:
        assert write_tile(paths, 0, old, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES) == overtaken[0]
    else:
        with pytest.raises(StaleAttempt):
            write_tile(paths, 0, old, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES)
    assert len(overtaken) == 1
    assert checksum(paths.tile(0).read_bytes()) == overtaken[0]
    assert inspect_tile(paths, 0) is TileState.DONE
    assert os.listdir(paths.tiles_dir) == ["tile_00000.h5"]


def test_threads_commit_side_by_side(paths: CampaignPaths) -> None:
    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda index: commit(paths, index, cells_of(index)), range(12)))
    assert [checksum(paths.tile(index).read_bytes()) for index in range(12)] == sums
    assert {inspect_tile(paths, index) for index in range(12)} == {TileState.DONE}


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("action", ["tile", "checkpoint"])
def test_killed_at_every_system_call(tmp_path: Path, children: ForkServerContext, action: str, torn: bool) -> None:
    kills = afterwards_new = 0
    for call in range(1, 100):
        paths = CampaignPaths(tmp_path / str(call)).make()
        claim_next(paths, 0)
        for step in (1, 2):
            save_checkpoint(paths, 0, {"step": np.array([step])}, {"fingerprint": "same"})
        end, told = children.Pipe(duplex=False)
        process = children.Process(target=killed_at_call, args=(paths.root, action, call, torn, told))
        process.start()
        process.join()
        if process.exitcode == 0:
            assert end.recv() == "survived"
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        checkpoint = load_checkpoint(paths, 0, "same")
        assert checkpoint is not None
        step = checkpoint[0]["step"][0]
        if action == "checkpoint":
            assert step in (2, 3)
            afterwards_new += step == 3
        else:
            assert step == 2
            state = inspect_tile(paths, 0)
            assert state in (TileState.MISSING, TileState.DONE), "the old state or the new one"
            afterwards_new += state is TileState.DONE
        sweep(paths)
        assert not list(paths.root.rglob("*.tmp"))
        sha256 = commit(paths, 0, cells_of(0))
        assert inspect_tile(paths, 0) is TileState.DONE
        assert checksum(paths.tile(0).read_bytes()) == sha256
        assert not os.listdir(paths.quarantine_dir)
    assert process.exitcode == 0, "never survived"
    assert kills >= 8
    assert 0 < afterwards_new < kills, "the kills must fall on both sides of the commit"


def _rounds(paths: CampaignPaths, children: ForkServerContext, kills: int) -> tuple[int, int, int]:
    chance = random.Random(0)
    promised: dict[int, int] = {}
    committed: set[int] = set()
    first = done_kills = 0
    for _ in range(kills):
        began = first
        end, told = children.Pipe(duplex=False)
        process = children.Process(target=work_until_killed, args=(paths.root, first, told))
        process.start()
        told.close()
        # By progress first and by time only then, so that a busy machine is killed in the same places.
        told_so_far = [end.recv() for _ in range(chance.randint(1, 9))]
        assert told_so_far[0] == ("begun", first, -1)
        time.sleep(chance.uniform(0, 0.01))
        process.kill()
        process.join()
        done_kills += process.exitcode == -signal.SIGKILL
        with contextlib.suppress(EOFError):
            while True:
                told_so_far.append(end.recv())
        for kind, index, number in told_so_far:
            first = max(first, index)
            if kind == "checkpoint":
                promised[index] = number
            elif kind == "committed":
                committed.add(index)
        commits = read_commits(paths)
        for index in range(began, first + 2):
            state = inspect_tile(paths, index, commits)
            assert state is not TileState.CORRUPT
            assert state is TileState.DONE or index not in committed, f"tile {index} was promised"
            loaded = load_checkpoint(paths, index, "same")
            step = int(loaded[0]["step"][0]) if loaded else 0
            assert step >= promised.get(index, 0), f"tile {index}: the checkpoint of a promised step"
            if loaded:
                assert (loaded[0]["state"] == step).all()
        sweep(paths)
        assert not list(paths.root.rglob("*.tmp"))
        first = next(i for i in range(began, first + 2) if inspect_tile(paths, i, commits) is TileState.MISSING)
    return done_kills, len(committed), len(promised)


@pytest.mark.parametrize("kills", [22, pytest.param(300, marks=pytest.mark.soak)])
def test_killed_at_random_moments(paths: CampaignPaths, children: ForkServerContext, kills: int) -> None:
    done_kills, committed, checkpointed = _rounds(paths, children, kills)
    assert done_kills == kills
    assert committed >= 5
    assert checkpointed >= 5
    commits = read_commits(paths)
    cells = []
    for index in range(committed):
        arrays, _, attempt = load_tile(paths, index, SCHEMA, commits)
        assert 1 <= attempt <= count_attempts(paths, index)
        cells += arrays["cell"].tolist()
        drop_checkpoint(paths, index)
    assert sorted(cells) == sorted(set(cells)), "a cell was counted twice"
    assert not os.listdir(paths.quarantine_dir)
