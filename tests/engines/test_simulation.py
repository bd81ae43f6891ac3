"""`phloem simulate DIR` on Ray and on MPI writes the bytes that it writes in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import succeed, write_campaign

pytestmark = pytest.mark.engine


def test_engines_write_the_same_file(tmp_path: Path) -> None:
    succeed("run", write_campaign(tmp_path), "--out", "made", folder=tmp_path)
    for engine in ("local", "ray", "mpi"):
        more = ["--engine", engine, "--workers", "2"]
        said = succeed("simulate", "made", "--out", f"{engine}.nc", "--what", "monthly", *more, folder=tmp_path)
        assert said.strip().endswith(f"{engine}.nc")
        assert not list(tmp_path.glob(f"{engine}.nc.*")), "parts are left"
    local = (tmp_path / "local.nc").read_bytes()
    for engine in ("ray", "mpi"):
        assert (tmp_path / f"{engine}.nc").read_bytes() == local, engine
