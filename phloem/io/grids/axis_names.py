"""What an axis of a file is, latitude or longitude: by its names and units, as CF spells them and as people do."""

from __future__ import annotations

LATITUDE, LONGITUDE = "latitude", "longitude"

NAMES = {LATITUDE: ("lat", "latitude", "nav_lat"), LONGITUDE: ("lon", "long", "longitude", "nav_lon")}
"""Names of coordinate variables, in lower case."""

_UNITS = {
    word: tuple(f"{degree}{between}{way}" for degree in ("degrees", "degree") for between in ("_", "") for way in ways)
    for word, ways in ((LATITUDE, ("north", "n")), (LONGITUDE, ("east", "e")))
}
"""Units of CF 4.1 and 4.2, in lower case."""


def horizontal_word(name: str, standard_name: str, units: str) -> str:
    """Return whether a coordinate is `latitude` or `longitude`, empty where it is neither.

    Args:
        name: of its variable.
        standard_name: as the file says, or empty.
        units: likewise.
    """
    for word in (LATITUDE, LONGITUDE):
        if name.lower() in NAMES[word] or standard_name.strip() == word or units.strip().lower() in _UNITS[word]:
            return word
    return ""
