"""Engines: what executes tasks; knows callables and resources, nothing of carbon."""

from phloem.hpc.local_engine import LocalEngine, default_workers
from phloem.hpc.tasks import Context, Engine, Outcome, StopFlag, Stopped, Task

__all__ = ["Context", "Engine", "LocalEngine", "Outcome", "StopFlag", "Stopped", "Task", "default_workers"]
