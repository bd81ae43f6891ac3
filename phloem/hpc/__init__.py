"""Engines that execute tasks: callables and resources, nothing of carbon."""
