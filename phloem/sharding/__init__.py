"""How lanes are laid on devices and processes, and the memory that takes.

from phloem.sharding.devices import device_environment, local_devices
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
    "projected_bytes",
]
