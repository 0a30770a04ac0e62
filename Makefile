# make serve   set up, then serve the committed models (PORT=8000)
# make setup   set up everything: training, too
# make test    set up everything, then run every check and test
# make train   train the committed models again
# make bench   measure the server beside others (CASES=single,batch64: these only, printed)
# make screenshots   the pictures of the explorer page
# make lint    ruff and mypy only
# make lock    resolve the dependencies again

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

.PHONY: serve setup test train bench screenshots lint lock

serve: .venv/serve.installed
	@$(BIN)/python -m service --port $(PORT)

setup: .venv/dev.installed

test: lint .venv/clients.installed
	$(BIN)/python -m pytest tests/e2e
	$(BIN)/python -m pytest --ignore tests/e2e -n auto --maxprocesses 4 --dist worksteal

train: .venv/dev.installed
	$(BIN)/python -m training examples

bench: .venv/dev.installed
	$(BIN)/python -m benchmarks.serving $(if $(CASES),--cases $(CASES),--out benchmarks/results)

screenshots: .venv/dev.installed
	$(BIN)/python -m tests.screenshots

lint: .venv/dev.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.venv/serve.installed: requirements/serve.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("expected Python 3.11 or newer, found " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/serve.txt
	@touch $@

# A superset of the server's lock at the same versions: one environment does for both.
.venv/dev.installed: .venv/serve.installed requirements/dev.txt
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# Other people's clients, which want older versions than ours: an environment of their own.
.venv/clients.installed: .venv/dev.installed requirements/clients.txt
	$(PYTHON) -m venv .venv/clients
	.venv/clients/bin/pip install --quiet --require-hashes -r requirements/clients.txt
	@touch $@

COMPILE = uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-header
lock:
	$(COMPILE) --extra cpu --extra valkey -o requirements/serve.txt pyproject.toml
	$(COMPILE) --extra gpu --extra valkey -c requirements/serve.txt -o requirements/gpu.txt pyproject.toml
	$(COMPILE) --extra cpu --extra valkey --extra client --extra ray --extra training --extra dev -c requirements/serve.txt -o requirements/dev.txt pyproject.toml
	$(COMPILE) -o requirements/clients.txt requirements/clients.in
