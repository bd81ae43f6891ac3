"""Engines: what executes tasks; knows callables and resources, nothing of carbon."""

from phloem.hpc.local_engine import LocalEngine, default_workers
from phloem.hpc.ray_engine import RayEngine
from phloem.hpc.tasks import Context, Engine, EngineError, Outcome, StopFlag, Stopped, Task

__all__ = [
    "Context",
    "Engine",
    "EngineError",
    "LocalEngine",
    "Outcome",
    "RayEngine",
    "StopFlag",
    "Stopped",
    "Task",
    "default_workers",
]
