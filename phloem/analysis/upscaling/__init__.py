"""Upscaling of tower fluxes: process baselines, what is learned beside them, and where it holds."""
