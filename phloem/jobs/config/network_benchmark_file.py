"""The benchmark file of trained networks: which of them are scored on which patches, read into a typed tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from phloem.jobs.config.toml_file import assign, load_toml
from phloem.typed_tables import Section

KIND = "benchmark file of networks"
"""What messages call it."""


class NetworkBenchmarkSection(Section):
    """The [benchmark] table.

    Attributes:
        set_ups: that are scored, as "PFT+CLIM"; none: all.
        members: `kept` for the networks that count, `all` for every trained one.
        part: which patches: `test`, that no run sees; `dev` or `train` of each run's own.
        warm_up: first months that are left out, whole years.
        water: `strict`, or `compat` for the public code's means of water storage.
        towers: whether sites are scored.
    """

    set_ups: list[str] = Field(default_factory=list)
    members: Literal["kept", "all"] = "kept"
    part: Literal["test", "dev", "train"] = "test"
    warm_up: Annotated[int, Field(ge=0, multiple_of=12)] = 24
    water: Literal["strict", "compat"] = "strict"
    towers: bool = True


class NetworkBenchmarkFile(Section):
    """A benchmark file of networks."""

    benchmark: NetworkBenchmarkSection = NetworkBenchmarkSection()


def load_network_benchmark(path: Path | None, assignments: Sequence[str] = ()) -> NetworkBenchmarkSection:
    """Read a benchmark file of networks.

    Args:
        path: the TOML file; None: all defaults.
        assignments: `key=value` texts that override the [benchmark] table.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """

    def change(tree: dict[str, Any]) -> None:
        for assignment in assignments:
            assign(tree, assignment, "part=dev", table="benchmark")

    return load_toml(path, NetworkBenchmarkFile, KIND, change).benchmark
