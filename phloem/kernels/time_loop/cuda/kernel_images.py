"""Images of kernels: machine code of the GPUs at hand, compiled once and cached by text, architecture and compiler."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from dataclasses import dataclass

from phloem.kernels.time_loop.cpu.c_compiler import CacheWarning, cache_folder
from phloem.kernels.time_loop.cuda.cuda_text import CudaSource
from phloem.kernels.time_loop.cuda.nvrtc import require_nvrtc
from phloem.kernels.time_loop.whole_files import write_whole

LEAST = 80
"""Oldest architecture whose PTX is made: Ampere; the driver compiles it for whatever comes later."""

_DIGEST = hashlib.sha256().digest_size

compilations: list[str] = []
"""Names of the images for which this process has run the compiler, one for each run."""


@dataclass(frozen=True)
class KernelImage:
    """A kernel as the driver loads it: machine code of one architecture (90 for sm_90), or PTX from it on."""

    architecture: int
    is_ptx: bool
    image: bytes


def kernel_image(source: CudaSource, architecture: int) -> KernelImage:
    """Return a kernel's image for GPUs of an architecture, from the cache where it is there.

    An architecture that the compiler does not know yet gets the PTX of the newest before it.

    Args:
        source: the kernel.
        architecture: 10 times the compute capability: 90 for 9.0.

    Raises:
        NvrtcError: there is no compiler, or it refused the text.
    """
    compiler = require_nvrtc()
    known = architecture in compiler.architectures
    number = architecture if known else max((a for a in compiler.architectures if a <= architecture), default=LEAST)
    what = f"{'sm' if known else 'compute'}_{number}"
    key = json.dumps([source.text, source.options, what, compiler.version])
    name = f"fold-{hashlib.sha256(key.encode()).hexdigest()[:24]}.{'cubin' if known else 'ptx'}"
    image = read_image(name)
    if image is None:
        image = compiler.compile(source.text, what, source.options).image
        compilations.append(name)
        keep_image(name, image)
    return KernelImage(number, not known, image)


def read_image(name: str) -> bytes | None:
    """Return an image from the cache; None where there is none, or where its bytes are not those that were kept."""
    with contextlib.suppress(OSError):
        content = (cache_folder() / name).read_bytes()
        if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
            return content[_DIGEST:]
    return None


def keep_image(name: str, image: bytes) -> None:
    """Put an image into the cache, whole or not at all; where that fails, a CacheWarning says so."""
    try:
        write_whole(cache_folder() / name, hashlib.sha256(image).digest() + image)
    except OSError as error:
        warnings.warn(f"a compiled kernel is not kept, because the cache fails: {error}", CacheWarning, stacklevel=2)
