"""What the tests of training on several devices run in processes of their own: `python -m MODULE CASE NUMBER NUMBERS`.

`local PATCHES_A_STEP DEVICES,DEVICES,..` trains on so many devices of this process, one number after the other;
`mesh DEVICES PATCHES_A_STEP` as one process of a job; `different` likewise, from other weights in each.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.network import made_patch
from phloem.errors import WorkError
from phloem.kernels.network.set_ups import GROUPS
from phloem.kernels.network.training_loss import Patch, TrainingLoss
from phloem.kernels.network.training_step import Trainer
from phloem.sharding.processes.launch import end_with_parent
from phloem.sharding.processes.mesh import local_mesh, process_mesh
from phloem.sharding.processes.rendezvous import find_processes
from phloem.sharding.training.data_parallel import DataParallel

FOLDER = Path(os.environ.get("TRAINING_FOLDER", "."))
SET_UPS = (("PFT",), ("CLIM", "SOIL"), tuple(GROUPS))
PATCHES = 7
"""Of an epoch: steps of three leave one that is not full."""


def patch(number: int) -> Patch:
    """Return a patch of 80 cells and two years; two blocks of the cpu backend's lanes."""
    return made_patch(np.random.default_rng(number), 80, 24)


def trainer(backend: str = "cpu", set_ups: Any = SET_UPS, **other: Any) -> Trainer:
    return Trainer(TrainingLoss(backend=backend), tuple(set_ups), 2e-3, total_steps=9, **other)


def keys() -> list[Any]:
    return [jax.random.key(number) for number in range(len(SET_UPS))]


def digest(tree: Any) -> str:
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))).hexdigest()


def two_epochs(parallel: DataParallel) -> dict[str, Any]:
    """Train for two epochs of two orders, redraw a network between them; return digests, and which patches were read.

    Losses of patches that a step does not have are left out, so that all numbers of patches a step can be compared.
    """
    networks, seen, read = parallel.to_devices(parallel.trainer.first(keys())), [], set()

    def reading(number: int) -> Patch:
        read.add(number)
        return patch(number)

    for epoch in range(2):
        for step in parallel.batches.steps(np.random.default_rng(epoch).permutation(PATCHES)):
            placed = parallel.place(step, reading)
            before = parallel.losses(networks, placed) if parallel.trainer.loss.backend == "cpu" else None
            networks, losses = parallel.step(networks, placed, np.array([True, epoch == 0, True]))
            seen.append(parallel.to_host(losses)[: len(step.patches)])
            assert np.isfinite(seen[-1]).all()
            if before is not None:
                np.testing.assert_allclose(parallel.to_host(before), parallel.to_host(losses), rtol=1e-5)
        networks = parallel.redraw(networks, 2, jax.random.key(9)) if epoch == 0 else networks
    host = [parallel.to_host((one,)) for one in networks]
    assert all(one.finite for one in host[0])
    return {"networks": sorted(set(map(digest, host))), "losses": digest(seen), "read": sorted(read)}


def main() -> None:
    end_with_parent()
    case, devices = sys.argv[1], int(sys.argv[2])
    backend = os.environ.get("TRAINING_BACKEND", "cpu")
    job = find_processes()
    try:
        if case == "local":
            for count in map(int, sys.argv[3].split(",")):
                of = DataParallel(trainer(backend), local_mesh(jax.local_devices()[:count]), devices)
                print(json.dumps(two_epochs(of)), flush=True)
            return
        with process_mesh(job, devices=devices, platform="cpu") as mesh:
            parallel = DataParallel(trainer(backend), mesh, int(sys.argv[3]))
            if case == "different":
                parallel.to_devices(parallel.trainer.first([jax.random.key(job.rank)] * len(SET_UPS)))
            (FOLDER / f"{job.rank}.json").write_text(json.dumps(two_epochs(parallel)))
    except WorkError as error:
        print(f"said: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
