"""Everything that compiles: model texts, the time loop, objectives, optimisers; arrays in, arrays out.

Floating types are explicit everywhere; JAX's 64-bit mode is switched on so that float64 can be asked for. JAX itself is
not imported here: the tables of a model are read by commands that compute nothing and should start at once.
"""

import os
import sys

os.environ["JAX_ENABLE_X64"] = "1"  # what JAX goes by when it is imported, here or in a child process
if "jax" in sys.modules:
    sys.modules["jax"].config.update("jax_enable_x64", True)
