"""Process baselines of upscaling: light-use efficiency, respiration, evaporation; pure functions of arrays."""
