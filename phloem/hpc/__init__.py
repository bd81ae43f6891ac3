"""Engines: what executes tasks; knows callables and resources, nothing of carbon."""

from phloem.hpc.local_engine import Context, LocalEngine, Outcome, StopFlag, Stopped, Task, default_workers

__all__ = ["Context", "LocalEngine", "Outcome", "StopFlag", "Stopped", "Task", "default_workers"]
