"""Images that a stand-in for the driver makes of CUDA text, with the host's compiler."""

from __future__ import annotations

import ctypes

from phloem.errors import WorkError
from phloem.kernels.time_loop.cuda.cuda_text import CudaSource
from phloem.kernels.time_loop.cuda.kernel_images import KernelImage

ARCHITECTURE = 90
"""What a stand-in says its device is: compute capability 9.0, a Hopper."""


def stand_in_image(library: ctypes.CDLL, source: CudaSource) -> KernelImage:
    """Let the stand-in compile a kernel.

    Raises:
        WorkError: it cannot; the message holds what it said.
    """
    compile_text = library.phloem_compile
    compile_text.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_char_p)]
    compile_text.restype = ctypes.c_void_p
    size, said = ctypes.c_size_t(), ctypes.c_char_p()
    found = compile_text(source.text.encode(), ctypes.byref(size), ctypes.byref(said))
    if not found:
        raise WorkError(f"the stand-in for the driver does not compile the text: {(said.value or b'').decode()}")
    return KernelImage(ARCHITECTURE, False, ctypes.string_at(found, size.value))
