"""The files of a report: figures as PNG and data as CSV beside the page, all of them new or none."""

from __future__ import annotations

import base64
import csv
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from phloem.analysis.style.inline_svg import Drawing
from phloem.analysis.style.plot_style import to_png
from phloem.io.files.atomic import write_atomically

FIGURES, DATA, PAGE = "figures", "data", "index.html"

STALE_SECONDS = 86_400
"""Files that were being written so long ago are not any more."""

PIXELS_AN_INCH = 115
"""Of a figure that keeps its size: its texts are then as large as the page's."""


class ReportFiles:
    """Collects figures and tables aside and puts them in their place with the page."""

    def __init__(self, out: Path) -> None:
        """Begin a report.

        Args:
            out: its folder; made where it is not there.
        """
        self.out = out
        self.names: dict[str, list[str]] = {FIGURES: [], DATA: []}

    def __enter__(self) -> ReportFiles:
        self.out.mkdir(parents=True, exist_ok=True)
        for left in self.out.glob(".writing-*"):  # by one that was killed
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        self.aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=self.out))
        for folder in self.names:
            (self.aside / folder).mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.aside, ignore_errors=True)

    def picture(self, name: str, figure: Figure, label: str, dpi: int = 110) -> Markup:
        """Keep a figure as PNG and return it as an element of the page."""
        png = to_png(figure, dpi)
        self.keep(FIGURES, f"{name}.png", png)
        return image(png, label)

    def drawing(self, drawing: Drawing, own_size: bool = False) -> Markup:
        """Keep a figure as PNG and return it as inline SVG, for figures of lines and texts.

        Args:
            drawing: the figure.
            own_size: whether it keeps its size where there is room for more.
        """
        self.keep(FIGURES, f"{slug(drawing.name)}.png", to_png(drawing.figure))
        svg = Markup(drawing.svg())
        if not own_size:
            return svg
        width = PIXELS_AN_INCH * drawing.figure.get_figwidth()
        return Markup('<div style="max-width:{}px">{}</div>').format(f"{width:.0f}", svg)

    def keep(self, folder: str, name: str, content: bytes) -> None:
        """Keep a file as it is."""
        (self.aside / folder / name).write_bytes(content)
        self.names[folder].append(name)

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Keep a table; numbers have six significant digits, what is missing is empty."""
        with (self.aside / DATA / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_text(value) for value in row] for row in rows)
        self.names[DATA].append(f"{name}.csv")

    def finish(self, page: str) -> Path:
        """Put everything in its place, the page last.

        Returns:
            The page.
        """
        for folder in self.names:
            target, old = self.out / folder, self.aside / f"old-{folder}"
            if target.exists():
                target.rename(old)
            (self.aside / folder).rename(target)
        write_atomically(self.out / PAGE, page.encode("utf-8"))
        return self.out / PAGE


def image(png: bytes, label: str) -> Markup:
    """Return a PNG image as an element of the page."""
    data = base64.b64encode(png).decode("ascii")
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(escape(label), Markup(data))


def slug(name: str) -> str:
    """Return a name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "unnamed"


def _text(value: object) -> object:
    if isinstance(value, float | np.floating):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return "" if value is None else value
