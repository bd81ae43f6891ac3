# README names the two commands that a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: venv gpu-compiler demo quick test test-jax test-engines soak lint format docs bench clean

venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("phloem needs Python 3.11 or later, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[hdf4,ray,mpi,slurm,test,lint,docs]'
	touch $@

# XLA's compiler for GPUs, which needs none, for tests/kernels/time_loop/cuda/test_compiled_for_h200.py. It has a folder of
# its own: in .venv every process would look for a GPU.
gpu-compiler: .gpu-compiler/installed

.gpu-compiler/installed: constraints.txt | venv
	rm -rf .gpu-compiler
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .gpu-compiler -c constraints.txt \
		jax-cuda12-plugin jax-cuda12-pjrt
	touch $@

demo: venv
	$(BIN)/phloem demo --out demo

# Between two edits: all rooms but those that take more than 10 s (LONG in tests/conftest.py). Left out are campaigns run by
# the real command, reports, attributions, the compiled backends against the reference, faults in system calls, engines.
quick: venv
	$(BIN)/python -m pytest -n 2 --dist loadfile --quick -m 'not soak and not engine'

test: venv
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not soak and not engine'

# The kernels under the oldest and the newest jax, in environments of their own.
test-jax:
	PYTHON=$(PYTHON) .ci/test_jax

# All tests that start Ray one after the other, and all that start SLURM: one process each (tests/support/rooms.py).
test-engines: venv
	$(BIN)/python -m pytest -n 2 --dist loadscope -m 'engine and not soak'

soak: venv
	$(BIN)/python -m pytest -m soak --timeout 7200

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pages of docs/ and README as a site, to be read from site/index.html; any broken link or heading is an error.
docs: venv
	$(BIN)/sphinx-build -q -W --keep-going -c docs -d build/doctrees . site

bench: venv
	$(BIN)/python -m benchmarks.fold --lanes 64,512,4096 --years 9,107 --threads 1,2 --backends xla,cpu --record
	$(BIN)/python -m benchmarks.precision --record

clean:
	rm -rf .venv .venv-oldest-jax .venv-newest-jax .gpu-compiler demo site build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
