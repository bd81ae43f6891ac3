"""Arithmetic of whole numbers that every part shares."""


def ceil_div(count: int, size: int) -> int:
    """Return how many pieces of a size a count takes: the quotient, rounded up.

    Args:
        count: what is divided.
        size: of a piece, positive.
    """
    return -(-count // size)
