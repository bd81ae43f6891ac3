"""Numbers of many cells as whole-number codes, compressed, for the page's script to unpack into maps."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.io.merge.member_statistics import SCREENING_RCV

MISSING = 0
"""The code of a value that is missing; the others are 1 and up."""

RCV_STEPS = {16: 1e-4, 8: 0.01}
"""Step of a packed rCV by its bits; it ends at 6.5533 or 2.53."""

_GZIP = 31
_LOGARITHMIC = 8.0
"""Positive values that span this factor are packed on a logarithmic scale."""


@dataclass(frozen=True)
class Packed:
    """Codes of some values.

    Attributes:
        codes: unsigned integers of 8 or 16 bits, 0 = missing, in the order of the values.
        low, high: values of the codes 1 and `top`.
        logarithmic: whether equal steps of the code are equal factors.
    """

    codes: np.ndarray
    low: float
    high: float
    logarithmic: bool

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return 8 * self.codes.dtype.itemsize

    @property
    def top(self) -> int:
        """The greatest code."""
        return int(np.iinfo(self.codes.dtype).max)

    def facts(self) -> dict[str, Any]:
        """Return what unpacking needs, for JSON; floats in full."""
        return {"bits": self.bits, "low": self.low, "high": self.high, "log": self.logarithmic}

    def payload(self) -> str:
        """Return the codes compressed, as text: the lower bytes of all, then the upper bytes, which repeat more."""
        little = self.codes.astype(self.codes.dtype.newbyteorder("<"))
        planes = little.reshape(-1, 1).view(np.uint8).reshape(-1, self.codes.dtype.itemsize)
        return compress(np.ascontiguousarray(planes.T).tobytes())


def compress(data: bytes) -> str:
    """Return bytes as base64 of a gzip stream without a date: equal bytes give equal text."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return base64.b64encode(packer.compress(data) + packer.flush()).decode("ascii")


def decompress(text: str) -> bytes:
    """Return what `compress` was given."""
    return zlib.decompress(base64.b64decode(text), _GZIP)


def pack(values: np.ndarray, bits: int = 16) -> Packed:
    """Pack values between their least and greatest; an infinite value becomes the greatest or least finite one.

    The error is at most half a step: of (high - low) / (2^bits - 2), or of that share of ln(high / low) where the
    values are positive and span a factor of 8.

    Args:
        values: any shape, NaN = missing.
        bits: 8 or 16.
    """
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return pack_between(values, low, high, bits, low > 0 and high / low >= _LOGARITHMIC)


def pack_between(values: np.ndarray, low: float, high: float, bits: int, logarithmic: bool = False) -> Packed:
    """Pack values between given ends; what lies beyond becomes the end."""
    values = np.asarray(values, dtype=np.float64)
    kind: type[np.unsignedinteger[Any]] = np.uint8 if bits == 8 else np.uint16
    steps = int(np.iinfo(kind).max) - 1
    known = ~np.isnan(values)
    # Doubling neither overflows nor loses digits where the ends are as far apart as numbers can be.
    inside = np.clip(np.where(known, values, low), low, high)
    if high <= low:
        share = np.zeros(values.shape)
    elif logarithmic:
        share = (np.log(inside) - np.log(low)) / (np.log(high) - np.log(low))
    else:
        share = (inside / 2 - low / 2) / (high / 2 - low / 2)
    codes = np.where(known, 1 + np.rint(np.clip(share, 0, 1) * steps), MISSING)
    return Packed(codes.astype(kind), low, high, logarithmic)


def unpack(packed: Packed) -> np.ndarray:
    """Return the values, NaN where missing: what the page computes from the codes."""
    share = (packed.codes.astype(np.float64) - 1) / (packed.top - 1)
    if packed.logarithmic:
        values = np.exp(np.log(packed.low) * (1 - share) + np.log(packed.high) * share)
    else:
        values = packed.low * (1 - share) + packed.high * share
    return np.where(packed.codes == MISSING, np.nan, values)


def limit_code(bits: int) -> int:
    """Return the greatest code of an rCV that passes the screening limit."""
    return 1 + round(SCREENING_RCV / RCV_STEPS[bits])


def pack_rcv(rcv: np.ndarray, bits: int = 16) -> Packed:
    """Pack robust CVs, rounded up to whole steps, so that the screening limit parts the same cells as before.

    Args:
        rcv: any shape, NaN = missing.
        bits: 16 for steps of 1e-4, 8 for steps of 0.01.
    """
    values = np.asarray(rcv, dtype=np.float64)
    kind: type[np.unsignedinteger[Any]] = np.uint8 if bits == 8 else np.uint16
    step, steps, limit = RCV_STEPS[bits], int(np.iinfo(kind).max) - 1, limit_code(bits) - 1
    steps_up = np.ceil(np.clip(np.nan_to_num(values, nan=0.0, posinf=1e9), 0, steps * step) / step)
    steps_up = np.where(values <= SCREENING_RCV, np.minimum(steps_up, limit), np.maximum(steps_up, limit + 1))
    codes = np.where(np.isnan(values), MISSING, 1 + np.clip(steps_up, 0, steps))
    return Packed(codes.astype(kind), 0.0, steps * step, False)


def screened(packed: Packed) -> np.ndarray:
    """Tell which packed rCVs pass the screening limit, from the codes alone."""
    passed: np.ndarray = (packed.codes != MISSING) & (packed.codes <= limit_code(packed.bits))
    return passed
