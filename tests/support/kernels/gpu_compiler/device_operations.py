"""Operations that a compiled XLA:GPU program starts on the device, counted loop by loop in the dump of its thunks."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

THUNK = re.compile(r"^(\s*)(\d{3,}): k(\w+)")
HEADING = re.compile(r"^(\s*)([a-z_]+):\s*$")


def operations_by_loop(dump: Path) -> dict[str, dict[str, int]]:
    """Count operations by kind, for the program's outermost level and for each part of a loop or a choice below it.

    Args:
        dump: folder of `--xla_dump_to`, of one program for a GPU.

    Returns:
        Counts by the way to the part: `entry`, `entry/While033.body`, `entry/While033.body/Conditional068.true_branch`.
    """
    sequences = [path for path in dump.glob("*thunk_sequence.txt") if ".cpu" not in path.name]
    largest = max(sequences, key=lambda path: path.stat().st_size)
    counts: dict[str, Counter[str]] = {}
    levels: list[tuple[int, str]] = []
    last, part = "entry", ""
    for line in largest.read_text().splitlines():
        if heading := HEADING.match(line):
            part = heading[2]
        if not (thunk := THUNK.match(line)):
            continue
        indent, kind = len(thunk[1]), thunk[3]
        while levels and levels[-1][0] > indent:
            levels.pop()
        if not levels or levels[-1][0] < indent:
            levels.append((indent, f"{last}.{part}" if part else last))
        elif part:  # another part of the same loop or choice: its heading stands at the same depth
            levels[-1] = (indent, f"{levels[-1][1].partition('.')[0]}.{part}")
        part, last = "", f"{kind}{thunk[2]}"
        counts.setdefault("/".join(level for _, level in levels), Counter())[kind] += 1
    return {where: dict(kinds) for where, kinds in counts.items()}
