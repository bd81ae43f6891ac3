"""How lanes are laid on devices and processes, and the memory that takes.

`placement`, which needs JAX, is imported by its own name: planning and starting workers do without JAX.
"""

from phloem.sharding.devices import device_environment, local_devices, out_of_memory
from phloem.sharding.layout import BLOCK, Block, Layout, blocks, cut, lay_out, projected_bytes

__all__ = [
    "BLOCK",
    "Block",
    "Layout",
    "blocks",
    "cut",
    "device_environment",
    "lay_out",
    "local_devices",
    "out_of_memory",
    "projected_bytes",
]
