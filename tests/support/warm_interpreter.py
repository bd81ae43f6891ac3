"""An interpreter that has imported what phloem's commands import, and is forked for each command of a test.

A command is a process of its own here as at a terminal: it has its own arguments, environment, folder, output and exit
status, and runs the installed script from its first line to its last. Only the imports are shared, which cost more than
most commands. What is decided while modules are imported cannot be changed for a fork: a command whose environment is
another than the interpreter's, in more than words that are read later, must be started afresh; what imports themselves
set is no difference.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

READ_LATE = {"PYTEST_CURRENT_TEST", "COLUMNS", "MPLBACKEND", "NCCL_SOCKET_IFNAME", "PATH", "CC", "SLURM_CONF"}
"""Variables that no import reads."""

SET_BY_IMPORTS = {
    "HDF5_PLUGIN_PATH",
    "JAX_ENABLE_X64",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "MOSAIC_GPU_CUDA_ROOT",
    "TF_CPP_MIN_LOG_LEVEL",
    "TPU_SKIP_MDS_QUERY",
}
"""Variables that netCDF4, this package, scikit-learn and JAX set when they are imported, in the tests' process too."""


class WarmInterpreter:
    """The interpreter, seen from the tests: started with the first command, gone with the last test."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    def refuses(self, environment: Mapping[str, str]) -> set[str]:
        """Return the variables for whose sake a fork cannot have this environment."""
        own = self._environment or os.environ
        names = {*own, *environment} - READ_LATE - SET_BY_IMPORTS
        return {name for name in names if own.get(name) != environment.get(name)}

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python script with its arguments to the end.

        Raises:
            subprocess.TimeoutExpired: it took longer; it is killed then.
        """
        with self._lock, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            channel = self._started()
            request = {"words": list(words), "folder": str(folder), "environment": dict(environment)}
            socket.send_fds(channel, [b"\n"], [output.fileno(), errors.fileno()])
            channel.sendall(json.dumps(request).encode() + b"\n")
            answers = channel.makefile("rb")
            pid = int(answers.readline())
            channel.settimeout(seconds)
            try:
                status = int(answers.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                channel.settimeout(None)
                channel.recv(100)
                raise subprocess.TimeoutExpired(list(words), seconds, _text(output), _text(errors)) from None
            finally:
                channel.settimeout(None)
            return subprocess.CompletedProcess(list(words), status, _text(output), _text(errors))

    def _started(self) -> socket.socket:
        if self._process is None:
            here, there = socket.socketpair()
            self._environment = dict(os.environ)
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(there.fileno())], stdin=subprocess.DEVNULL, pass_fds=[there.fileno()]
            )
            there.close()
            self._channel = here
            atexit.register(self.close)
        return self._channel

    def close(self) -> None:
        """End the interpreter."""
        if self._process is not None:
            self._channel.close()
            self._process.wait()
            self._process = None


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return io.TextIOWrapper(file).read()


def warm() -> None:
    """Import all that commands import when they run; no engine and no device is started by that."""
    import phloem

    for module in pkgutil.walk_packages(phloem.__path__, "phloem."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of an engine that is not installed
                importlib.import_module(module.name)


def serve(channel: socket.socket) -> dict[str, Any]:
    """Fork for each request; return the request in the child, and never in the parent."""
    while True:
        mark, descriptors, _, _ = socket.recv_fds(channel, 1, 2)
        if not mark:
            os._exit(0)
        line = b""
        while not line.endswith(b"\n"):
            line += channel.recv(1 << 16)
        pid = os.fork()
        if pid == 0:
            channel.close()
            for number, descriptor in enumerate(descriptors, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            request: dict[str, Any] = json.loads(line)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def run_to_the_end(script: str) -> NoReturn:
    """Run a script and end as the interpreter would, but for taking its modules apart, which costs 0.3 s."""
    status: Any = 1
    try:
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as asked:
        status = asked.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    del sys.path[0]  # of this file, where no command looks for modules
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm()
    gc.freeze()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    own = {name: os.environ[name] for name in SET_BY_IMPORTS & os.environ.keys()}
    os.environ.clear()
    os.environ.update({**asked["environment"], **own})
    os.chdir(asked["folder"])
    sys.argv = asked["words"]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    run_to_the_end(sys.argv[0])
