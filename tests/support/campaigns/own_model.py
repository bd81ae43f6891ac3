"""The snow pack of examples/snowpack beside phloem, as `pip install` would put it there."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import tomli_w

EXAMPLE = Path(__file__).parents[3] / "examples/snowpack"


def install(folder: Path) -> dict[str, str]:
    """Write what tells Python of the example and of its entry point; return the environment that finds both."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    metadata = folder / f"{project['name']}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    path = os.pathsep.join([str(EXAMPLE), str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path}


def write_campaign(folder: Path, **sections: dict[str, object]) -> Path:
    """Write the example's campaign file over FOLDER/sites, with other values in some of its tables."""
    tree = tomllib.loads((EXAMPLE / "snowpack.toml").read_text())
    for name, values in sections.items():
        tree[name] = {**tree.get(name, {}), **values}
    path = folder / "snowpack.toml"
    path.write_text(tomli_w.dumps(tree))
    return path
