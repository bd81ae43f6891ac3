"""Needs of a campaign, and abilities of this machine."""
