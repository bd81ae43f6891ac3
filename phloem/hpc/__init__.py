"""Engines: what executes tasks; knows callables and resources, nothing of carbon."""
