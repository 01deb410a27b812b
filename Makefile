PYTHON ?= $(shell command -v python3.11 || command -v python3)
IN = . .venv/bin/activate &&
# as the stages do: threads that wait leave the core to others
export OMP_WAIT_POLICY = passive

.PHONY: run server test check slow quick-slow lock clean
.DELETE_ON_ERROR:

run: .venv/ready  ## the whole pipeline on the embedded sample
	$(IN) dvc repro && wordloom lock && { test -f report.html || wordloom report; }

server: .venv/ready  ## Prefect's server for this project, at http://127.0.0.1:4200
	$(IN) exec wordloom server

test: .venv/ready  ## the fast tests
	$(IN) pytest -m "not slow" -n 2 --dist loadfile

quick-slow: .venv/ready  ## the slow tests that continuous integration runs too
	$(IN) pytest -m "slow and quick_slow" -n 2 --dist loadfile

slow: .venv/ready  ## all the slow tests
	$(IN) pytest -m slow

check: .venv/ready  ## style, import walls, types, docs against code, the environment against its lock
	$(IN) ruff check . && ruff format --check . && lint-imports && mypy && python -m tests.docs && wordloom dag --check \
	&& pip check && python -m tests.lock

lock:  ## resolves pyproject.toml into requirements.lock, from the index' metadata
	$(PYTHON) -m venv build/lock && build/lock/bin/pip install -q uv
	build/lock/bin/uv pip compile -q pyproject.toml --extra dev --python-version 3.11 --no-header --no-annotate --upgrade -o build/resolved
	@# torch's GPU packages are left to torch's own exact pins: the CPU build needs none of them
	{ echo "# made by: make lock"; grep -vE '^(nvidia-|cuda-|triton)' build/resolved; } > requirements.lock

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Wordloom needs Python 3.11; this is " + sys.version.split()[0] + ". Say: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -r requirements.lock
	.venv/bin/pip install -q --no-deps --no-build-isolation -e .
	.venv/bin/python -m pipelines warm
	touch .venv/ready

clean:  ## what a run made, but not the environment, DVC's cache, or the records of what runs took
	rm -rf data runs/checks report.html
