"""Where the product of an application must not stand: in place of what it is made of, or among it."""

from __future__ import annotations

from pathlib import Path

from phloem.errors import InputError
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.drivers.store import StorePaths
from phloem.jobs.application.product_totals import totals_file


def refuse_input_as_output(out: Path, drivers: Path, static: Path | None, directory: Path) -> None:
    """Refuse a product that would overwrite, or become, input of its application.

    Args:
        out: the file to write.
        drivers: file, folder of files or driver store, there.
        static: file of numbers of the places, there; None: none.
        directory: of the campaign whose models are applied.

    Raises:
        InputError: it is the drivers or the numbers of the places, lies in their folder, or among the campaign's files.
    """
    wanted = (out.resolve(), totals_file(out).resolve())
    for key, given in (("--drivers", drivers), ("--static", static)):
        if given is not None and given.is_file() and any(_is_same(one, given) for one in wanted):
            raise InputError(f"--out {out}: this is {key} {given}, which would be overwritten; name another file")
    above = wanted[0].parents
    if drivers.resolve() == above[0] or (StorePaths(drivers).index.is_file() and drivers.resolve() in above):
        raise InputError(
            f"--out {out}: it lies in --drivers {drivers}, where the next run would read it; name a file elsewhere"
        )
    products = CampaignPaths(directory).products_dir
    if directory.resolve() in above and products.resolve() not in above:
        raise InputError(f"--out {out}: {directory} holds the campaign's own files; products go into {products}")


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths are one file, by name or by link."""
    return one == other.resolve() or (one.exists() and one.samefile(other))
