"""How lanes are laid on devices and processes, and the memory that takes."""

from phloem.sharding.layout import BLOCK, Block, blocks, projected_bytes

__all__ = ["BLOCK", "Block", "blocks", "projected_bytes"]
