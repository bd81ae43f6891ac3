"""The files of a campaign: their names, tiles, attempts, checkpoints."""
