"""What computed a tile: backend, device, driver, compiler; kept in the journals, beside times and hosts.

A tile's file has none of it: its bytes are the same whatever computed them.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from phloem.hpc.gpus import visible_gpus

if TYPE_CHECKING:
    import jax

GPU_FACTS = ("device", "driver", "compiler", "jaxlib")
"""Facts that may change a GPU's bits, and how fast it is."""


def computed_on(backend: str, devices: int, node: str) -> dict[str, Any]:
    """Return what this process computes on.

    Args:
        backend: `xla`, `cpu` or `gpu`.
        devices: number of devices over which a tile's lanes are laid.
        node: name of the machine.

    Returns:
        `backend`, `device` (kind), `compiler` and `jaxlib`; of GPUs also `driver` and `cards`, each `node:number` or
        `node:UUID`.
    """
    from phloem.kernels.time_loop.checked_cards import card_of
    from phloem.kernels.time_loop.cpu.c_compiler import find_compiler

    device = _device() if backend in ("gpu", "xla") else None
    if device is not None and (backend == "gpu" or device.platform == "gpu"):
        card = card_of(device)
        cards = [f"{node}:{name}" for name in (visible_gpus() or map(str, range(devices)))][:devices]
        facts = {name: getattr(card, name) for name in GPU_FACTS}
        return {"backend": backend, **facts, "cards": cards}
    compiler = find_compiler() if backend == "cpu" else None
    return {
        "backend": backend,
        "device": "cpu",
        **({"compiler": compiler.version} if compiler is not None else {}),
        "jaxlib": importlib.metadata.version("jaxlib"),
    }


def _device() -> jax.Device:
    import jax

    from phloem.kernels.time_loop.cuda.driver import platform

    with suppress(RuntimeError):  # no GPU: of a worker that has one, JAX's default is processors all the same
        return jax.local_devices(backend=platform())[0]
    return jax.local_devices()[0]


def sum_up(facts_by_tile: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what computed some tiles: each different set of facts once, with its `tiles` and the number of `cards`."""
    tiles: Counter[tuple[tuple[str, Any], ...]] = Counter()
    cards: dict[tuple[tuple[str, Any], ...], set[str]] = defaultdict(set)
    for facts in facts_by_tile:
        key = tuple(sorted((name, fact) for name, fact in facts.items() if name != "cards"))
        tiles[key] += 1
        cards[key].update(facts.get("cards", ()))
    return [{**dict(key), "cards": len(cards[key]), "tiles": count} for key, count in tiles.most_common()]


def in_words(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return what computed tiles, for people; empty where no GPU did."""
    entries = list(entries)
    if not any(entry["cards"] for entry in entries):
        return ""
    parts = []
    for entry in entries:
        tiles = f"{entry['tiles']} tile{'s' if entry['tiles'] != 1 else ''}"
        compiler = entry.get("compiler", "")
        if entry["cards"]:
            versions = f"driver {entry['driver'] or 'unknown'}, {compiler}, jaxlib {entry['jaxlib']}"
            parts.append(f"{entry['device']} x {entry['cards']}, {entry['backend']} backend, {versions}, {tiles}")
        else:
            parts.append(", ".join(filter(None, [f"{entry['backend']} backend", compiler, tiles])))
    return "; ".join(parts)
