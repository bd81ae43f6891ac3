"""Drivers of fluxes at places and months: CF files and driver stores, read band by band."""
