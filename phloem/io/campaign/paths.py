"""Every file name of a campaign, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TILES_A_FOLDER = 1000
"""Tiles whose attempts share a folder."""


@dataclass(frozen=True)
class CampaignPaths:
    """The files of one campaign directory; nobody else spells their names.

    Attributes:
        root: the campaign directory.
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def configuration(self) -> Path:
        """The frozen configuration."""
        return self.root / "campaign.toml"

    @property
    def plan(self) -> Path:
        """The tile table."""
        return self.root / "plan.json"

    @property
    def retries(self) -> Path:
        """The failed lanes that are calibrated again, in batches."""
        return self.root / "retries.json"

    @property
    def tiles_dir(self) -> Path:
        """Folder of the committed tile files."""
        return self.root / "tiles"

    @property
    def checkpoints_dir(self) -> Path:
        """Folder of the checkpoints, two generations a tile."""
        return self.root / "checkpoints"

    @property
    def journals_dir(self) -> Path:
        """Folder of the journals, one a worker."""
        return self.root / "journals"

    @property
    def attempts_dir(self) -> Path:
        """Folder of the attempts: who claimed which, where it stands, how it ended."""
        return self.root / "attempts"

    @property
    def scores(self) -> Path:
        """Scores of what an upscaling's models had not seen."""
        return self.root / "scores.json"

    @property
    def models(self) -> Path:
        """Models of an upscaling that maps are made by."""
        return self.root / "models.h5"

    @property
    def products_dir(self) -> Path:
        """Folder of what is made of the campaign's models by other commands, and looked for by its report."""
        return self.root / "products"

    @property
    def quarantine_dir(self) -> Path:
        """Folder to which files go that do not agree with the journals."""
        return self.root / "quarantine"

    @property
    def logs_dir(self) -> Path:
        """Folder of the workers' logs."""
        return self.root / "logs"

    @property
    def failures_dir(self) -> Path:
        """Folder of the tracebacks of failed attempts, the last one a tile."""
        return self.root / "failures"

    def traceback(self, index: int) -> Path:
        """Return the traceback of a tile's last failed attempt."""
        return self.failures_dir / f"tile_{index:05d}.txt"

    @property
    def batches_dir(self) -> Path:
        """Folder of what was handed to a batch system: scripts, lists of tiles, output."""
        return self.root / "batches"

    @property
    def stop(self) -> Path:
        """The file that stops a campaign which fails everywhere alike; it says why."""
        return self.root / "STOPPED"

    @property
    def report_dir(self) -> Path:
        """Folder of the report."""
        return self.root / "report"

    @property
    def report(self) -> Path:
        """The report."""
        return self.report_dir / "index.html"

    @property
    def merged(self) -> Path:
        """The merged product."""
        return self.root / "merged.nc"

    @property
    def normalisation(self) -> Path:
        """The campaign-wide statistics of every variable."""
        return self.root / "normalisation.nc"

    def merged_temporary(self, host: str, pid: int) -> Path:
        """Return the file in which a process writes the product before it gets its name."""
        return self.root / f"merged.nc.{host}.{pid}.tmp"

    def tile(self, index: int) -> Path:
        """Return the committed file of a tile."""
        return self.tiles_dir / f"tile_{index:05d}.h5"

    def tile_temporary(self, index: int, attempt: int) -> Path:
        """Return the file that an attempt writes before it commits."""
        return self.tiles_dir / f"tile_{index:05d}.{attempt}.tmp"

    def checkpoint(self, index: int, part: str = "") -> Path:
        """Return the newest checkpoint of a tile, or of a part of it that is computed alone."""
        return self.checkpoints_dir / f"tile_{index:05d}{part}.h5"

    def checkpoint_previous(self, index: int, part: str = "") -> Path:
        """Return the checkpoint before the newest."""
        return self.checkpoints_dir / f"tile_{index:05d}{part}.previous.h5"

    def part(self, index: int, part: str) -> Path:
        """Return the result of a part of a tile that was computed alone."""
        return self.checkpoints_dir / f"tile_{index:05d}{part}.done.h5"

    def attempt_folder(self, index: int) -> Path:
        """Return the folder of a tile's attempts: a thousand tiles share one, so that listing is quick."""
        return self.attempts_dir / f"{index // TILES_A_FOLDER:03d}"

    def claim(self, index: int, attempt: int) -> Path:
        """Return the file whose exclusive creation claims an attempt (the first attempt is 1); it says who holds it."""
        return self.attempt_folder(index) / f"tile_{index:05d}.{attempt:04d}.claim"

    def end(self, index: int, attempt: int) -> Path:
        """Return the file that says how an attempt ended."""
        return self.claim(index, attempt).with_suffix(".end")

    def beat(self, index: int, attempt: int) -> Path:
        """Return the file in which a running attempt says where it stands."""
        return self.claim(index, attempt).with_suffix(".beat")

    def forgiven(self, index: int, attempt: int) -> Path:
        """Return the empty file that says: the ends up to this attempt count no more."""
        return self.claim(index, attempt).with_suffix(".forgiven")

    def journal(self, worker: str) -> Path:
        """Return the journal of a worker, which only that worker appends to."""
        return self.journals_dir / f"{_file_name(worker)}.jsonl"

    def log(self, worker: str) -> Path:
        """Return the log of a worker."""
        return self.logs_dir / f"{_file_name(worker)}.log"

    def folders(self) -> Iterator[Path]:
        """Return all folders that a campaign writes into, its root first."""
        yield self.root
        yield from (self.tiles_dir, self.checkpoints_dir, self.journals_dir, self.attempts_dir)
        yield from (self.quarantine_dir, self.logs_dir, self.failures_dir, self.report_dir)

    def make(self) -> CampaignPaths:
        """Create the folders that are not there yet and return these paths."""
        for folder in self.folders():
            folder.mkdir(parents=True, exist_ok=True)
        return self


def _file_name(worker: str) -> str:
    if not worker or worker.startswith(".") or any(c in worker for c in "/\\\0"):
        raise ValueError(f"worker {worker!r} cannot be part of a file name")
    return worker
