"""Results of an analysis in a folder beside others: each file whole or not there, the document last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from phloem.analysis.attribution.result_files import plain
from phloem.analysis.style.inline_svg import to_svg
from phloem.analysis.style.plot_style import to_png
from phloem.io.files.atomic import write_atomically

SVG_NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'


def write_figure(folder: Path, name: str, figure: Figure, label: str) -> None:
    """Write a figure as NAME.png, and as NAME.svg that can stand in a page or alone.

    Args:
        folder: is there.
        name: of the files, without their ends.
        figure: whose background is transparent from then on.
        label: what it shows, for readers who cannot see it.
    """
    write_atomically(folder / f"{name}.png", to_png(figure, dpi=150))
    svg = to_svg(figure, name, label).replace("<svg", f"<svg{SVG_NAMESPACE}", 1)
    write_atomically(folder / f"{name}.svg", svg.encode())


def write_document(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document as JSON, numbers to seven digits and None for those that are not finite.

    Args:
        path: of the file; its folder is there.
        document: of mappings, lists, numbers and texts.

    Returns:
        What the file holds.
    """
    held: dict[str, Any] = plain(document)
    write_atomically(path, (json.dumps(held, indent=1, allow_nan=False) + "\n").encode())
    return held
