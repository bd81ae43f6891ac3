"""Settings of the documentation's site, which Sphinx builds from the Markdown of the repository (`make docs`).

The site has the folders of the repository, so that a link leads to the same page there and on GitHub. Its pages load
nothing from other hosts, and can be read from a disk, the search included.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

project = "phloem"
copyright = "the phloem developers"
html_title = "phloem"

extensions = ["myst_parser"]
root_doc = "README"
source_suffix = {".md": "markdown"}
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/*.md", "docs/*.md"]
myst_heading_anchors = 4  # links to headings, made as GitHub makes them
nitpicky = True
suppress_warnings = ["myst.header"]  # a page may begin below its first level

html_theme = "furo"
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
highlight_language = "none"
smartquotes = False

CONTENTS = {
    "Calibrate": ("towers", "ingest", "monthly", "files", "campaigns", "experiments", "growth"),
    "Networks": ("network", "patches", "published_patches", "synthetic_earth"),
    "Fluxes of towers": ("upscaling", "towers_monthly", "apply", "allocation", "causes"),
    "Use the results": ("report", "attribution", "benchmark", "simulate", "python"),
    "Science": ("science", "glossary", "optimiser", "numerics"),
    "Program": ("kernels", "scale", "own_model", "structure"),
    "Project": ("/CONTRIBUTING", "/CHANGELOG", "/benchmarks/RESULTS", "/benchmarks/precision"),
}
"""Pages by heading of the menu; those without a slash stand in docs/. A page that is missing here is an error."""


def add_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Append the menu to the first page as the site sees it; GitHub's readers have its list of links."""
    if page != root_doc:
        return
    for heading, pages in CONTENTS.items():
        names = "\n".join(name if name.startswith("/") else f"docs/{name}" for name in pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{names}\n```\n"


def add_index(app: Sphinx, failure: Exception | None) -> None:
    """Copy the first page to the name that browsers and servers look for."""
    if failure is None:
        shutil.copyfile(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def refuse_other_hosts(app: Sphinx, failure: Exception | None) -> None:
    """Refuse a site that would load a script, a style, a font or an image from another host."""
    loads = r'<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)="((?:https?:)?//[^"]*)'
    styles = r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^\"')\s]*)"
    found = {
        f"{path.relative_to(app.outdir)}: {host}"
        for kind, pattern in (("html", loads), ("css", styles))
        for path in Path(app.outdir).rglob(f"*.{kind}")
        for host in re.findall(pattern, path.read_text(encoding="utf-8"))
    }
    if failure is None and found:
        raise ExtensionError("the site loads from other hosts: " + "; ".join(sorted(found)))


def setup(app: Sphinx) -> None:
    """Let Sphinx call what stands above."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", add_index)
    app.connect("build-finished", refuse_other_hosts)
