"""The commands that ask nothing of a campaign: doctor and demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phloem.errors import WorkError
from phloem.jobs.commands.options import Json, Workers, print_json


def doctor(as_json: Json = False) -> None:
    """Say what this machine can do, and what is missing.

    Example: phloem doctor
    """
    from phloem.jobs.estimate.doctor import as_json as to_json
    from phloem.jobs.estimate.doctor import examine

    checks = examine(Path.cwd())
    if as_json:
        print_json(to_json(checks))
    else:
        print("\n".join(line for check in checks for line in check.lines()))
    problems = [check.name for check in checks if check.level == "problem"]
    if problems:
        raise WorkError(f"problems with: {', '.join(problems)}")


def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory to write.")] = Path("demo"),
    workers: Workers = 0,
) -> None:
    """Run the three experiments on a synthetic boreal domain with a known truth: the whole path, a few minutes.

    Example: phloem demo --out demo
    """
    from phloem.jobs.experiments.demo import run_demo

    lines, page = run_demo(out, workers)
    print("\n".join(lines[:-1]))
    print(f"The demo is done. Look at the page: {page.resolve()}")
