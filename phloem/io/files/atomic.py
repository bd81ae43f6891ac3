"""Files that are either whole or absent: atomic writes, and HDF5 images that prove themselves.

A file made by `hdf5_image` begins with a 512-byte user block that holds the SHA-256 of all bytes after it, so
that a torn or altered file is recognised before any library parses it. To HDF5 it is an ordinary file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from phloem.errors import WorkError

HEADER_BYTES = 512
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What link(2) says where there are no hard links; a look and a rename take their place."""

_MAGIC = b"phloem file 1\nsha256 "
_VANISHED_LIMIT = 8

OnFull = Callable[[Path], None]
_Result = TypeVar("_Result")


class CorruptFile(WorkError):  # noqa: N818
    """A file whose bytes are not what its writer wrote."""


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError the path that it lacks: those of write, fsync, read and close name none."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def when_there_is_room(action: Callable[[], _Result], path: Path, on_full: OnFull | None) -> _Result:
    """Do something, again and again while the disk or a quota is full.

    Args:
        action: what to do; it may be begun several times.
        path: what `on_full` is told.
        on_full: waits. Without it the OSError is raised.
    """
    while True:
        try:
            return action()
        except OSError as error:
            if error.errno not in FULL_DISK or on_full is None:
                raise
            on_full(path)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    with naming(path), path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    with naming(folder):
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_atomically(
    path: Path,
    data: bytes,
    temporary: Path | None = None,
    on_full: OnFull | None = None,
    *,
    before_commit: Callable[[Path], None] | None = None,
    exclusive: bool = False,
) -> None:
    """Write a file so that a kill at any instruction leaves the old one or the new one.

    Args:
        path: the file.
        data: its bytes.
        temporary: where to write first, in the same folder; by default a name that nobody else uses.
        on_full: called with `path` when the disk or a quota is full, after the temporary is gone; it waits,
            and the write starts again. Without it the OSError is raised.
        before_commit: called with the closed and synchronised temporary, last thing before the rename; what
            it raises prevents the commit. It may run more than once.
        exclusive: refuse (FileExistsError) where `path` exists, decided by the file system and not by a look.
    """
    vanished = 0
    while True:
        partial = temporary or path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
        try:
            with naming(path):
                _write_once(path, data, partial, before_commit, exclusive)
            break
        except FileNotFoundError:
            # A start-up elsewhere may have swept the temporary away: begin again.
            vanished += 1
            if vanished > _VANISHED_LIMIT or not path.parent.is_dir():
                raise
        except OSError as error:
            if error.errno not in FULL_DISK or on_full is None:
                raise
            on_full(path)
    # Apart from the rest: where this alone is tried again, an exclusive write does not meet its own file.
    when_there_is_room(lambda: sync_directory(path.parent), path, on_full)


def _write_once(
    path: Path, data: bytes, partial: Path, before_commit: Callable[[Path], None] | None, exclusive: bool
) -> None:
    # A temporary left by a kill can be a hard link to a committed file: remove its name, never truncate it.
    partial.unlink(missing_ok=True)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if before_commit is not None:
            before_commit(partial)
        if exclusive:
            _rename_to_new(partial, path)
        else:
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _rename_to_new(source: Path, target: Path) -> None:
    """Give a file a second name that must be new; where there are no hard links, look and rename."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.rename(source, target)


def checksum(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def hdf5_image(
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    describe: Mapping[str, Mapping[str, str]] | None = None,
) -> bytes:
    """The bytes of an HDF5 file: same input, same bytes.

    Built in memory, because a full disk in the middle of a write leaves the HDF5 library in a torn state.

    Args:
        arrays: numbers (stored with shuffle, gzip-1 and fletcher32) or strings (variable-length UTF-8).
        attributes: of the file: str, int, float, bool or lists of one of them.
        describe: attributes of the variables.

    Raises:
        ValueError: a value that HDF5 cannot hold faithfully; the message names it.
    """
    with h5py.File.in_memory(track_order=True) as file:
        for name in sorted(arrays):
            dataset = _add(file, name, np.asarray(arrays[name]))
            for key, text in sorted((describe or {}).get(name, {}).items()):
                dataset.attrs[key] = text
        for key in sorted(attributes):
            value = attributes[key]
            if not isinstance(value, str | int | float | list | tuple | np.generic):
                raise ValueError(f"attribute {key!r}: a {type(value).__name__} cannot be stored")
            file.attrs[key] = value
        file.flush()
        body = file.id.get_file_image()
    return _header(body) + body


def _add(file: h5py.File, name: str, values: np.ndarray) -> h5py.Dataset:
    if values.dtype.kind in "UTO":
        texts = values.astype(object)
        if any(not isinstance(text, str) or "\0" in text for text in texts.flat):
            raise ValueError(f"variable {name!r}: only strings without NUL characters can be stored as text")
        # HDF5 keeps such strings outside the reach of its filters; the file's own checksum covers them.
        return file.create_dataset(name, data=texts, dtype=h5py.string_dtype("utf-8"), track_times=False)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"variable {name!r}: dtype {values.dtype} cannot be stored")
    if values.size == 0 or values.ndim == 0:
        return file.create_dataset(name, data=values, track_times=False)
    return file.create_dataset(
        name,
        data=values,
        chunks=True,
        shuffle=True,
        compression="gzip",
        compression_opts=1,
        fletcher32=True,
        track_times=False,
    )


def _header(body: bytes) -> bytes:
    return (_MAGIC + checksum(body).encode() + b"\n").ljust(HEADER_BYTES, b"\0")


def parse_hdf5(data: bytes, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and attributes of an image made by `hdf5_image`.

    Args:
        data: the bytes of the whole file.
        name: what to call it in messages.

    Raises:
        CorruptFile: not one byte may differ from what was written.
    """
    if len(data) <= HEADER_BYTES or not data.startswith(_MAGIC):
        raise CorruptFile(f"{name}: truncated or not a file of this program ({len(data)} bytes)")
    body = data[HEADER_BYTES:]
    if data[:HEADER_BYTES] != _header(body):
        raise CorruptFile(f"{name}: its checksum does not match its {len(data)} bytes")
    try:
        with h5py.File.in_memory(body) as file:
            arrays = {key: _array(file[key]) for key in file}
            attributes = {key: _plain(value) for key, value in file.attrs.items()}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptFile(f"{name}: HDF5 cannot read it ({error})") from error
    return arrays, attributes


def read_hdf5(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and attributes of a file made by `hdf5_image`.

    Raises:
        CorruptFile: anything is wrong with its bytes.
        FileNotFoundError: there is no such file.
    """
    return parse_hdf5(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """All bytes of a file; a medium that cannot deliver them is a CorruptFile."""
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise CorruptFile(f"{path}: {error.strerror}") from error


def _array(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray(dataset.asstr()[...], dtype=str)
    return np.asarray(dataset[...])


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
