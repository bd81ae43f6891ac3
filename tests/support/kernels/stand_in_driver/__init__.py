"""A stand-in for the NVIDIA driver, built here: the gpu backend's kernels run on it without a GPU."""

import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


@functools.cache
def build_driver() -> Path:
    """Build the library, once for each state of its text, and return its path."""
    text = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.[ch]*")))
    folder = Path(tempfile.gettempdir()) / f"stand-in-driver-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    library = folder / f"libcuda-{hashlib.sha256(text + str(HERE).encode()).hexdigest()[:16]}.so"
    if not library.exists():
        made = library.with_suffix(f".{os.getpid()}.tmp")
        subprocess.run(
            ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", f'-DHERE="{HERE}"', str(HERE / "driver.cpp"), "-o", made],
            check=True,
        )
        made.replace(library)
    return library


def environment(**more: str) -> dict[str, str]:
    """Return the variables under which the gpu backend runs on the stand-in."""
    return {"PHLOEM_CUDA_DRIVER": str(build_driver()), "JAX_PLATFORMS": "cpu", **more}
