"""How lanes are laid on devices and processes, and the memory that takes.

`placement`, `processes` and `normalisation`, which need JAX, are imported by their own names: planning and starting
workers do without JAX.
"""

from phloem.sharding.devices import device_environment, local_devices, out_of_memory
from phloem.sharding.launch import end_with_parent, run_processes
from phloem.sharding.layout import BLOCK, Block, Layout, blocks, cut, lay_out, projected_bytes
from phloem.sharding.rendezvous import Processes, find_processes

__all__ = [
    "BLOCK",
    "Block",
    "Layout",
    "Processes",
    "blocks",
    "cut",
    "device_environment",
    "end_with_parent",
    "find_processes",
    "lay_out",
    "local_devices",
    "out_of_memory",
    "projected_bytes",
    "run_processes",
]
