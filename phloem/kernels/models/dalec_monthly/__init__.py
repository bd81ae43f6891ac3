"""The monthly DALEC of DifferLand Global: seven pools, fire, water, fluorescence, optical depth."""
