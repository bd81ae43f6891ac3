"""Upscaling as work of a campaign: models of tower fluxes by what they leave out, flux and member."""
