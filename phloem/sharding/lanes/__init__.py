"""Lanes on the devices of one process: blocks, rounds, memory."""
