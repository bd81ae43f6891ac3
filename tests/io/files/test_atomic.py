import contextlib
import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.io.campaign.checkpoints import load_checkpoint, save_checkpoint
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import TileState, inspect_tile, write_tile
from phloem.io.files.atomic import CorruptFile, hdf5_image, parse_hdf5, read_hdf5, write_atomically
from phloem.io.files.journals import append_event, read_events
from tests.support.campaigns.campaign_samples import ATTRIBUTES, SCHEMA, cells_of, tile_arrays
from tests.support.campaigns.claims import claim_next

ARRAYS = {"x": np.linspace(0, 1, 999).reshape(3, 333), "cell": np.array(["FI-Hyy", "Hyytiälä"])}
IMAGE = hdf5_image(ARRAYS, {"seed": 3, "name": "é", "list": ["a", "b"], "flag": True, "rate": 0.5})


def test_image_gives_back_what_went_in(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.h5", IMAGE)
    arrays, attributes = read_hdf5(tmp_path / "a.h5")
    assert arrays["x"].tobytes() == ARRAYS["x"].tobytes()
    assert arrays["cell"].tolist() == ARRAYS["cell"].tolist()
    assert attributes == {"seed": 3, "name": "é", "list": ["a", "b"], "flag": True, "rate": 0.5}
    assert os.listdir(tmp_path) == ["a.h5"]


def test_image_is_an_ordinary_hdf5_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.h5", IMAGE)
    with h5py.File(tmp_path / "a.h5") as file:
        x = file["x"]
        assert (x.shuffle, x.compression, x.compression_opts, x.fletcher32) == (True, "gzip", 1, True)
        assert file["cell"].asstr()[1] == "Hyytiälä"


def test_image_is_the_same_in_another_process() -> None:
    script = (
        "import numpy as np, hashlib; from phloem.io.files.atomic import hdf5_image\n"
        "x = {'cell': np.array(['FI-Hyy', 'Hyytiälä']), 'x': np.linspace(0, 1, 999).reshape(3, 333)}\n"
        "a = {'flag': True, 'rate': 0.5, 'list': ['a', 'b'], 'name': 'é', 'seed': 3}\n"
        "print(hashlib.sha256(hdf5_image(x, a)).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(IMAGE).hexdigest()


@pytest.mark.parametrize("value", [np.array([1j]), np.array(["a\0b"]), np.array([1], dtype="M8[D]")])
def test_values_that_hdf5_cannot_hold_are_named(value: np.ndarray) -> None:
    with pytest.raises(ValueError, match="'odd'"):
        hdf5_image({"odd": value}, {})
    with pytest.raises(ValueError, match="'none'"):
        hdf5_image({}, {"none": None})


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(IMAGE) * 8 - 1))
def test_any_flipped_bit_is_found(bit: int) -> None:
    data = bytearray(IMAGE)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptFile):
        parse_hdf5(bytes(data), "flipped")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(IMAGE) - 1), st.binary(max_size=3))
def test_any_truncation_or_addition_is_found(length: int, added: bytes) -> None:
    with pytest.raises(CorruptFile):
        parse_hdf5(IMAGE[:length], "short")
    if added:
        with pytest.raises(CorruptFile):
            parse_hdf5(IMAGE + added, "long")


def test_exclusive_write_keeps_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"first", exclusive=True)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", exclusive=True)
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


def test_exclusive_write_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def link(source: Path, target: Path) -> None:
        refused.append(target)
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", link)
    test_exclusive_write_keeps_the_first(tmp_path)
    assert len(refused) == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_full_disk_in_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str) -> None:
    real = getattr(os, call)
    faults: list[str] = []
    waits: list[Path] = []

    def full(*args: object, **kwargs: object) -> object:
        if len(faults) < 2:
            faults.append(call)
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    def on_full(path: Path) -> None:
        waits.append(path)
        assert os.listdir(tmp_path) == ["a"], "the temporary must be gone while waiting"
        assert (tmp_path / "a").read_bytes() == b"old"

    write_atomically(tmp_path / "a", b"old")
    monkeypatch.setattr(os, call, full)
    write_atomically(tmp_path / "a", b"new", on_full=on_full)
    assert (len(faults), waits) == (2, [tmp_path / "a"] * 2)
    assert (tmp_path / "a").read_bytes() == b"new"
    faults.clear()
    with pytest.raises(OSError, match=os.strerror(code)):
        write_atomically(tmp_path / "a", b"newer")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_temporary_swept_under_a_live_writer(tmp_path: Path) -> None:
    sweeps: list[Path] = []

    def swept_twice(temporary: Path) -> None:
        if len(sweeps) < 2:
            sweeps.append(temporary)
            temporary.unlink()

    write_atomically(tmp_path / "a", b"new", before_commit=swept_twice)
    assert len(sweeps) == 2
    assert (tmp_path / "a").read_bytes() == b"new"
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "a", b"never", before_commit=lambda temporary: temporary.unlink())
    assert (tmp_path / "a").read_bytes() == b"new"


def test_stray_temporary_that_is_a_link_to_a_committed_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"committed")
    os.link(tmp_path / "a", tmp_path / "a.tmp")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "a", b"other", tmp_path / "a.tmp", exclusive=True)
    assert (tmp_path / "a").read_bytes() == b"committed"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("a really full disk needs the mount command")
    if done.returncode != 0:
        pytest.skip(f"a really full disk needs the right to mount a tmpfs: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class Ballast:
    """Fills a file system to the last byte; waiting on it frees the space at the second call."""

    def __init__(self, folder: Path) -> None:
        self.path, self.waits = folder / "ballast", 0
        with self.path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert os.statvfs(folder).f_bavail == 0

    def wait(self, path: Path) -> None:
        self.waits += 1
        assert not list(path.parent.glob("*.tmp")), "the temporary must be gone while waiting"
        if self.waits == 2:
            self.path.unlink()


def test_really_full_disk_pauses_every_writer(small_disk: Path) -> None:
    paths = CampaignPaths(small_disk).make()
    write_atomically(small_disk / "old", b"old")
    append_event(paths.journal("w"), {"event": "first"})
    attempt = claim_next(paths, 0)
    state = {"x": np.random.default_rng(0).random(20_000)}
    waits = []

    def under_pressure(action: object) -> None:
        ballast = Ballast(small_disk)
        action(ballast.wait)  # type: ignore[operator]
        waits.append(ballast.waits)
        assert not list(small_disk.rglob("*.tmp"))

    under_pressure(lambda wait: write_atomically(small_disk / "old", bytes(100_000), on_full=wait))
    assert (small_disk / "old").read_bytes() == bytes(100_000)
    under_pressure(lambda wait: save_checkpoint(paths, 0, state, {"fingerprint": "f"}, on_full=wait))
    loaded = load_checkpoint(paths, 0, "f")
    assert loaded is not None
    assert loaded[0]["x"].tobytes() == state["x"].tobytes()
    under_pressure(
        lambda wait: write_tile(paths, 0, attempt, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES, on_full=wait)
    )
    assert inspect_tile(paths, 0) is TileState.DONE
    long = {"event": "second", "text": "x" * 5000}
    under_pressure(lambda wait: append_event(paths.journal("w"), long, on_full=wait))
    assert read_events(paths.journal("w")) == [{"event": "first"}, long]
    assert waits == [2, 2, 2, 2]


def test_really_full_disk_that_another_thread_frees(small_disk: Path) -> None:
    ballast = Ballast(small_disk)
    calls: list[Path] = []

    def on_full(path: Path) -> None:
        calls.append(path)
        other = threading.Thread(target=ballast.path.unlink)
        other.start()
        other.join()

    write_atomically(small_disk / "a", IMAGE, on_full=on_full)
    assert len(calls) == 1
    assert read_hdf5(small_disk / "a")[1]["seed"] == 3
