"""The command line. Each command imports what it needs when it runs, so that `--help` and `status` are quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from phloem.errors import InputError, WorkError
from phloem.hpc.tasks import EngineError
from phloem.jobs.commands.allocate import allocate
from phloem.jobs.commands.apply import apply
from phloem.jobs.commands.attribute import attribute
from phloem.jobs.commands.benchmark import benchmark
from phloem.jobs.commands.campaign import finish, merge, new, normalise, plan, retry, run, status, work
from phloem.jobs.commands.cell import evaluate, parameters, simulate
from phloem.jobs.commands.experiments import experiments, forward
from phloem.jobs.commands.ingest import ingest
from phloem.jobs.commands.machine import demo, doctor
from phloem.jobs.commands.report import report
from phloem.jobs.installed_jax import require_tested_jax
from phloem.jobs.progress import INTERRUPTS
from phloem.version import VERSION

app = typer.Typer(
    help="Calibrate a differentiable land-carbon model (DALEC) in every cell; survive the cluster it runs on.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"phloem {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand != "doctor":  # it says so among its checks
        require_tested_jax()


VISIBLE: tuple[Callable[..., None], ...] = (
    new, doctor, plan, run, status, retry, merge, forward, experiments, attribute, benchmark, report, parameters,
    simulate, evaluate, apply, allocate, demo, normalise, ingest,
)  # fmt: skip
"""The commands, in the order of `--help`."""

for command in VISIBLE:
    app.command()(command)
for command in (work, finish):  # what batch jobs run
    app.command(hidden=True)(command)


def main() -> NoReturn:
    """Run the command line; exit 0 on success, 1 on failed work, 2 on wrong use or wrong input."""
    INTERRUPTS.hear()
    try:
        app()
    except BrokenPipeError:  # the reader of our output has seen enough; nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except InputError as error:
        print(f"phloem: {error}", file=sys.stderr)
        sys.exit(2)
    except (WorkError, EngineError) as error:
        print(f"phloem: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"phloem: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("phloem: interrupted", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
