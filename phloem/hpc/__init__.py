"""Engines: what executes tasks; knows callables and resources, nothing of carbon."""

from phloem.hpc.local_engine import LocalEngine, default_workers
from phloem.hpc.tasks import Context, Engine, EngineError, Outcome, StopFlag, Stopped, Task

__all__ = [
    "Context",
    "Engine",
    "EngineError",
    "LocalEngine",
    "Outcome",
    "StopFlag",
    "Stopped",
    "Task",
    "default_workers",
]
