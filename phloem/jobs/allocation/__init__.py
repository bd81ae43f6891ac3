"""Allocation of carbon by emulators of land models."""
