"""Raw files of products, NetCDF or HDF4, behind one small interface: headers, and pieces as they are stored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.files.stored_values import stored_values

_HDF4 = b"\x0e\x03\x13\x01"
_OPEN_FILES = 8
_CHUNK_CACHE = 1_000_000
"""Bytes of decompressed chunks that HDF5 keeps of a variable: pieces are read once each, so that more is of no use."""


@dataclass(frozen=True)
class Header:
    """Header of one variable in a file.

    Attributes:
        dimensions, shape: names and lengths.
        kind: type of a stored value.
        chunks: shape of a storage chunk; ones where it is contiguous.
        attributes: of the variable.
    """

    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    kind: np.dtype[Any]
    chunks: tuple[int, ...]
    attributes: Mapping[str, Any]

    @property
    def itemsize(self) -> int:
        """Bytes of a stored value; of a text those of where it is found."""
        return self.kind.itemsize

    def text(self, name: str) -> str:
        """Return a text attribute, empty where there is none."""
        value = self.attributes.get(name, "")
        return value.strip() if isinstance(value, str) else ""


class RawFile(Protocol):
    """An open file."""

    def names(self) -> list[str]:
        """Return names of its variables."""

    def header(self, name: str) -> Header:
        """Return the header of a variable."""

    def read(self, name: str, piece: tuple[Any, ...]) -> np.ndarray:
        """Return values as they are stored, neither unpacked nor masked."""

    def close(self) -> None:
        """Close it."""


def decoded(file: RawFile, path: Path, name: str) -> np.ndarray:
    """Return all values of a coordinate, float64, NaN where missing."""
    header = file.header(name)
    stored = stored_values(header.attributes, header.kind, f"{path}: variable {name}", coordinate=True)
    return stored.decode(np.asarray(file.read(name, (slice(None),) * len(header.shape))))


class NetCDFFile:
    """A NetCDF file, classic or HDF5."""

    def __init__(self, path: Path) -> None:
        self.file = netCDF4.Dataset(str(path))
        self.file.set_auto_maskandscale(False)
        self.ready: set[str] = set()

    def names(self) -> list[str]:
        """Return names of its variables."""
        return list(self.file.variables)

    def header(self, name: str) -> Header:
        """Return the header of a variable."""
        variable = self.file.variables[name]
        chunks = variable.chunking()
        plain = isinstance(chunks, str) or chunks is None
        cells = (1,) * len(variable.shape) if plain else tuple(int(n) for n in chunks)
        kind = np.dtype(object) if variable.dtype is str else np.dtype(variable.dtype)
        attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
        return Header(variable.dimensions, variable.shape, kind, cells, attributes)

    def read(self, name: str, piece: tuple[Any, ...]) -> np.ndarray:
        """Return values as they are stored."""
        variable = self.file.variables[name]
        if name not in self.ready and self.file.data_model.startswith("NETCDF4"):
            variable.set_var_chunk_cache(_CHUNK_CACHE)
            self.ready.add(name)
        return np.asarray(variable[piece])

    def close(self) -> None:
        """Close it."""
        self.file.close()


class HDF4File:
    """An HDF4 file, as GLASS is published; needs the package pyhdf."""

    def __init__(self, path: Path) -> None:
        try:
            from pyhdf.SD import SD
        except ImportError:
            raise InputError(
                f"{path}: an HDF4 file, which the package pyhdf reads (pip install 'phloem[hdf4]'); "
                "or convert it to NetCDF"
            ) from None
        self.file = SD(str(path))

    def names(self) -> list[str]:
        """Return names of its variables."""
        return list(self.file.datasets())

    def header(self, name: str) -> Header:
        """Return the header of a variable."""
        dimensions, shape, _, _ = self.file.datasets()[name]
        variable = self.file.select(name)
        shape = shape if isinstance(shape, tuple) else (shape,)
        kind = variable[tuple(slice(0, 1) for _ in shape)].dtype
        lengths, cells = tuple(int(n) for n in shape), (1,) * len(shape)
        return Header(tuple(dimensions), lengths, np.dtype(kind), cells, variable.attributes())

    def read(self, name: str, piece: tuple[Any, ...]) -> np.ndarray:
        """Return values as they are stored."""
        return np.asarray(self.file.select(name)[piece])

    def close(self) -> None:
        """Close it."""
        self.file.end()


def open_raw(path: Path) -> RawFile:
    """Open a file of either format.

    Raises:
        InputError: neither, or damaged.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        return HDF4File(path) if magic == _HDF4 else NetCDFFile(path)
    except InputError:
        raise
    except Exception as error:  # pyhdf has an exception class of its own, which cannot be named without it
        raise InputError(f"{path}: not a readable NetCDF or HDF4 file ({error})") from error


class OpenFiles:
    """A few open files, the least recently used of which is closed for the next; a context manager."""

    def __init__(self) -> None:
        self.files: OrderedDict[Path, RawFile] = OrderedDict()

    def __enter__(self) -> OpenFiles:
        return self

    def __exit__(self, *_: object) -> None:
        while self.files:
            self.files.popitem()[1].close()

    def get(self, path: Path) -> RawFile:
        """Return a file, opened if need be."""
        if path in self.files:
            self.files.move_to_end(path)
            return self.files[path]
        while len(self.files) >= _OPEN_FILES:
            self.files.popitem(last=False)[1].close()
        self.files[path] = open_raw(path)
        return self.files[path]

    def read(self, path: Path, name: str, piece: tuple[Any, ...]) -> np.ndarray:
        """Read a piece of a variable.

        Raises:
            InputError: the file is damaged there.
        """
        try:
            return self.get(path).read(name, piece)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path}: variable {name}: cannot be read ({error})") from error


def expand(patterns: Sequence[str], where: str) -> list[Path]:
    """Return files of some paths or globs, sorted; each once.

    Raises:
        InputError: a pattern without any file.
    """
    files: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        parts = path.parts
        plain = 1  # what is there under this very name is no pattern, whatever is in it
        while plain < len(parts) and Path(*parts[: plain + 1]).exists():
            plain += 1
        first = next((n for n in range(plain, len(parts)) if any(c in parts[n] for c in "*?[")), len(parts))
        if first == len(parts):
            matches = [path] if path.is_file() else []
        else:
            found = Path(*parts[:first]).glob(str(Path(*parts[first:])))
            hidden = parts[-1].startswith(".")
            matches = sorted(one for one in found if one.is_file() and (hidden or not one.name.startswith(".")))
        if not matches:
            raise InputError(f"{where}: no file {pattern}")
        files.update(dict.fromkeys(matches))
    return list(files)
