"""The three experiments: forward runs and the recovery of a known truth."""
