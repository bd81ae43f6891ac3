"""The files of docs/structure.md: by part and room, each with its module's first line.

`python -m tests.support.structure_page` writes them anew, below the line that says so; what stands above is written by
hand.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/structure.md"
MARK = "<!-- what follows is written by `python -m tests.support.structure_page` -->\n"

PARTS = ("jobs", "analysis", "hpc", "sharding", "io", "kernels")
"""In the order in which they import each other."""


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text, f"{path}: no docstring"
    return text.splitlines()[0].removesuffix(".")


def listing() -> str:
    """Return the lines of all files, with a heading for every part and room."""
    package = ROOT / "phloem"
    text = [f"## phloem\n\n{_files(package)}"]
    for part in PARTS:
        text.append(f"## phloem/{part}\n\n{first_line(package / part / '__init__.py')}.\n\n{_files(package / part)}")
        rooms = sorted(path.parent for path in (package / part).rglob("__init__.py") if path.parent != package / part)
        text += [_room(room) for room in rooms]
    benchmarks = ROOT / "benchmarks"
    text.append(f"## benchmarks\n\n{first_line(benchmarks / '__init__.py')}.\n\n{_files(benchmarks)}")
    text += [_room(path.parent) for path in sorted(benchmarks.glob("*/__init__.py"))]
    return "\n".join(text)


def _room(room: Path) -> str:
    return f"### {room.relative_to(ROOT)}\n\n{first_line(room / '__init__.py')}.\n\n{_files(room)}"


def _files(room: Path) -> str:
    modules = sorted(path for path in room.glob("*.py") if path.name != "__init__.py")
    return "".join(f"- `{path.relative_to(ROOT)}`: {first_line(path)}\n" for path in modules)


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + listing())
