"""Where netCDF ends the process that writes a product, the command says so, and what was there is as it was."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from phloem.io.merge.write_merged import LEAST_OF_TILES
from tests.support.campaigns.campaigns import PHLOEM, succeed, write_campaign
from tests.support.faults.shim import FOREVER, Call, Fault, read_log
from tests.support.once import once_a_run

COUNTED = ("write", "close")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        succeed("run", write_campaign(folder), "--out", "made", folder=folder, afresh=True)

    return once_a_run(tmp_path_factory, "finished", make) / "made"


def merge(shim: Path, root: Path, log: Path, fault: Fault) -> tuple[subprocess.CompletedProcess[str], tuple[Call, ...]]:
    log.unlink(missing_ok=True)
    variables = {**os.environ, "LD_PRELOAD": str(shim), **fault.environment(root, log)}
    done = subprocess.run([PHLOEM, "merge", root], env=variables, capture_output=True, text=True)
    return done, read_log(log)[0]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_the_last_write_or_close_of_a_merge_fails(
    shim: Path, made: Path, tmp_path: Path, record_property: Callable, code: int
) -> None:
    root, log = tmp_path / "made", tmp_path / "log"
    shutil.copytree(made, root)
    (root / "merged.nc").write_text("what was there")
    fault = Fault(counted=COUNTED)
    done, calls = merge(shim, shutil.copytree(root, tmp_path / "seen"), log, fault)
    assert done.returncode == 0, done.stderr
    of_file = [call for call in calls if call.path.startswith("merged.nc.") or "merged.nc" in call.path]
    writer = of_file[0].pid
    last = {kind: [call for call in of_file if call.kind == kind and call.pid == writer][-1] for kind in COUNTED}
    ends: Counter[str] = Counter()
    for kind, call in last.items():
        broken = Fault("fail", call.number, call.number, code, (kind,), COUNTED)
        done, _ = merge(shim, root, log, broken)
        assert done.returncode == 1, f"{kind}: {done.returncode} {done.stderr}"
        said = done.stderr.strip().splitlines()
        assert len([line for line in said if line.startswith("phloem: ")]) == 1, done.stderr
        assert f"{root / 'merged.nc'} could not be written" in done.stderr
        assert "What was there is as it was" in done.stderr
        assert (root / "merged.nc").read_text() == "what was there"
        assert not list(root.glob("merged.nc.*"))
        ends["ended by SIGSEGV, told" if "was ended by SIGSEGV" in done.stderr else "told"] += 1
    succeed("merge", root, folder=tmp_path)
    assert (root / "merged.nc").read_bytes()[:4] == b"\x89HDF"
    record_property("faults", f"merge in a process of its own, {errno.errorcode[code]}: {dict(ends)}")


def test_an_interrupt_of_a_merge_leaves_nothing(shim: Path, made: Path, tmp_path: Path) -> None:
    """Control-C while the file is written, which a delay of every write makes last."""
    root, log = tmp_path / "made", tmp_path / "log"
    shutil.copytree(made, root)
    (root / "merged.nc").write_text("what was there")
    slow = Fault("delay", 1, FOREVER, broken=("write",), counted=("write",), low=300, high=300)
    variables = {**os.environ, "LD_PRELOAD": str(shim), **slow.environment(root, log)}
    process = subprocess.Popen(
        [PHLOEM, "merge", root], env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(root.glob("merged.nc.*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all processes of the command
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not list(root.glob("merged.nc.*"))
    assert (root / "merged.nc").read_text() == "what was there"


def test_a_disk_that_fills_is_told_as_full(made: Path, tmp_path: Path) -> None:
    """Twice: where the space is asked for before, and where it lasts for a part of the product."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        root = disk / "made"
        shutil.copytree(made, root)
        tiles = sum(path.stat().st_size for path in (root / "tiles").glob("*.h5"))
        product = (root / "merged.nc").stat().st_size
        assert product > LEAST_OF_TILES * tiles
        (root / "merged.nc").write_text("what was there")
        some = max(product // 2, tiles)
        for left, said in ((int(0.3 * tiles), "would take"), (some, "could not be written: disk full")):
            filler = disk / "filler"
            filler.write_bytes(bytes(max(shutil.disk_usage(disk).free - left, 0)))
            done = subprocess.run([PHLOEM, "merge", root], capture_output=True, text=True)
            assert done.returncode == 1
            assert said in done.stderr
            assert "disk full" in done.stderr
            assert (root / "merged.nc").read_text() == "what was there"
            filler.unlink()
        succeed("merge", root, folder=tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
