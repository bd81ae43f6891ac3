"""How lanes are laid on devices and processes, and the memory that takes."""

from phloem.sharding.launch import end_with_parent, run_processes
from phloem.sharding.layout import BLOCK, Block, blocks, projected_bytes
from phloem.sharding.normalisation import Moments, Statistics, deal, moments, reduce_moments, round_size, statistics
from phloem.sharding.processes import gather, gather_messages, global_rows, process_mesh, reduce_rows
from phloem.sharding.rendezvous import Processes, find_processes

__all__ = [
    "BLOCK",
    "Block",
    "Moments",
    "Processes",
    "Statistics",
    "blocks",
    "deal",
    "end_with_parent",
    "find_processes",
    "gather",
    "gather_messages",
    "global_rows",
    "moments",
    "process_mesh",
    "projected_bytes",
    "reduce_moments",
    "reduce_rows",
    "round_size",
    "run_processes",
    "statistics",
]
