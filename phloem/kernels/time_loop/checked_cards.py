"""Cards whose gradients were compared with the cpu backend's, bit by bit: kept in the cache, asked for by `auto`."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

import jax

from phloem.kernels.time_loop.cpu.c_compiler import cache_folder
from phloem.kernels.time_loop.cuda import driver
from phloem.kernels.time_loop.cuda.nvrtc import find_nvrtc
from phloem.kernels.time_loop.whole_files import write_whole
from phloem.version import VERSION

HERE = Path(__file__).parent

DRIVER_FILES = (Path("/sys/module/nvidia/version"), Path("/proc/driver/nvidia/version"))
"""Where the kernel module tells its version: alone, and as a word of its first line."""


@dataclass(frozen=True)
class Card:
    """What decides a GPU's bits, and is told of a tile that it computed.

    Attributes:
        device: kind of device, as "NVIDIA H200".
        driver: version of the driver; empty where the system does not tell.
        compiler: of the kernels, as "NVRTC 12.9".
        jaxlib: version of XLA's library.
    """

    device: str
    driver: str
    compiler: str
    jaxlib: str

    def key(self, precision: str) -> str:
        """Return the card's name in the file, which changes with this package and its kernels' text."""
        mine = f"{self.device}, driver {self.driver}, {self.compiler}, jaxlib {self.jaxlib}"
        return f"{VERSION} {_digest()}, {precision}, {mine}"


def card_of(device: jax.Device) -> Card:
    """Return what a device is; one of JAX's cpu platform is a GPU where a library stands in for the driver."""
    jaxlib = importlib.metadata.version("jaxlib")
    if device.platform == "cpu":
        return Card(f"stand-in on {device.device_kind}", driver.driver_path(), "stand-in", jaxlib)
    found = find_nvrtc()
    compiler = "no NVRTC" if found is None else f"NVRTC {found.version}"
    return Card(device.device_kind, driver_version(), compiler, jaxlib)


def driver_version(files: tuple[Path, ...] = DRIVER_FILES) -> str:
    """Return the version of NVIDIA's driver; empty where none is loaded or the system does not tell."""
    for path in files:
        with contextlib.suppress(OSError):
            for word in path.read_text().partition("\n")[0].split():
                if word[:1].isdigit() and "." in word:
                    return word
    return ""


def verdict_on(card: Card, precision: str) -> str | None:
    """Return what a comparison of this card found: empty where bits agreed, else what did not; None if never made."""
    found = _read().get(card.key(precision))
    return found if isinstance(found, str) else None


def keep_verdict(card: Card, precision: str, verdict: str) -> None:
    """Remember what a comparison found; where that cannot be, it is made again next time."""
    with contextlib.suppress(OSError, RuntimeError):
        content = json.dumps(_read() | {card.key(precision): verdict}, indent=1)
        write_whole(_file(), content.encode())


def _file() -> Path:
    return cache_folder().parent / "checked_cards.json"


def _read() -> dict[str, object]:
    try:
        found = json.loads(_file().read_text())
    except (OSError, RuntimeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@functools.cache
def _digest() -> str:
    """Digest of all text from which both backends' kernels come."""
    files = sorted(path for folder in ("cpu", "cuda") for path in (HERE / folder).iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
