"""Application of fitted models of fluxes to every place and month of drivers (docs/apply.md)."""
