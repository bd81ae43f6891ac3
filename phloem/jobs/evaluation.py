"""How well given parameters do at one cell: scores of each member, and where they would get better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xarray as xr

from phloem.model_tables import ModelTables


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Scores of one cell.

    Attributes:
        site: name of the cell.
        nnse: normalised Nash-Sutcliffe efficiency in the calibration window, (member, stream). NaN where a stream was
            not observed, as its coordinate `observed` says.
        nnse_validation: likewise in the validation window.
        j_obs: minus the sum of the scores over the calibration window, what a calibration minimises, (member,).
        gradient: of `j_obs` with respect to the physical values of parameters and initial pools, (member, parameter),
            named as in parameters files; None where it was not asked for.
        tables: of the model.

    Example:
        >>> import phloem
        >>> scores = phloem.open_campaign("campaigns/transect").evaluate("T000")
        >>> bool(abs(scores.j_obs + scores.nnse.sum("stream")).max() < 1e-6)
        True
    """

    site: str
    nnse: xr.DataArray
    nnse_validation: xr.DataArray
    j_obs: xr.DataArray
    gradient: xr.DataArray | None
    tables: ModelTables

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of `phloem evaluate --json`; a stream without observations in a window is None.

        Example:
            >>> import phloem
            >>> found = phloem.open_campaign("campaigns/transect").evaluate("T000").to_json()
            >>> found["site"], sorted(found["members"][0])
            ('T000', ['j_obs', 'nnse', 'nnse_validation'])
        """
        members = []
        for place in range(self.j_obs.sizes["member"]):
            entry: dict[str, Any] = {
                "nnse": _by_stream(self.nnse[place]),
                "nnse_validation": _by_stream(self.nnse_validation[place]),
                "j_obs": float(self.j_obs[place]),
            }
            if self.gradient is not None:
                slopes, count = self.gradient.values[place].tolist(), len(self.tables.parameters)
                entry["gradient"] = {
                    "parameters": dict(zip(self.tables.parameter_names, slopes[:count], strict=True)),
                    "initial_pools": dict(zip(self.tables.pool_names, slopes[count:], strict=True)),
                }
            members.append(entry)
        return {"site": self.site, "members": members}

    def to_dataset(self) -> xr.Dataset:
        """Return the scores as one Dataset, (member, stream), with the gradient (member, parameter) where there is one.

        Its coordinates `observed` and `observed_validation` say which streams a window has.

        Example:
            >>> import phloem
            >>> list(phloem.open_campaign("campaigns/transect").evaluate("T000").to_dataset())
            ['nnse', 'nnse_validation', 'j_obs']
        """
        parts = {
            "nnse": self.nnse,
            "nnse_validation": self.nnse_validation.rename(observed="observed_validation"),
            "j_obs": self.j_obs,
        }
        if self.gradient is not None:
            parts["gradient"] = self.gradient
        return xr.Dataset(parts, attrs={"title": f"phloem evaluation of {self.site}"})

    def __repr__(self) -> str:
        losses = ", ".join(f"{loss:.4f}" for loss in self.j_obs.values)
        return f"<phloem.Evaluation of {self.site}: {self.j_obs.size} members, j_obs {losses}>"

    def _repr_html_(self) -> str:
        return str(self.to_dataset()._repr_html_())


def _by_stream(scores: xr.DataArray) -> dict[str, float | None]:
    streams = zip(scores["stream"].values, scores["observed"].values, scores.values, strict=True)
    return {str(name): float(score) if observed else None for name, observed, score in streams}
