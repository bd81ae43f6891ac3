"""Executing a campaign: engines, supervisor, state, retries, the merge."""
