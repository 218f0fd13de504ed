# Every target sets up what it needs. The exact versions are in constraints.txt: torch among them, whose newest build
# would bring several gigabytes of CUDA along.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.ready
INDEXES ?= indexes
QUESTION ?= How many days of annual leave does a full-time employee have?

.PHONY: app ask test torture lint bench bench-peers bench-growth clean

app: $(SETUP)  ## open the page; index the sample documents if there is nothing to ask yet
	@ls $(INDEXES)/*/ledger.sqlite >/dev/null 2>&1 || \
		$(BIN)/rag index data/sample --collection sample --indexes $(INDEXES) || [ $$? -eq 3 ]
	@$(BIN)/python -m app --indexes $(INDEXES)

ask: $(SETUP)  ## index the sample documents and answer a question over them
	$(BIN)/rag index data/sample --collection sample --indexes $(INDEXES) || [ $$? -eq 3 ]
	$(BIN)/rag ask "$(QUESTION)" --collection sample --indexes $(INDEXES)

test: $(SETUP)  ## the whole test suite
	$(BIN)/python -m pytest

torture: $(SETUP) .venv-milvus/bin/milvus-server  ## the long sweeps: a thousand kills, every call failed in turn, every defence taken away (hours)
	$(BIN)/python -m pytest --torture -m "torture or rounds" -o faulthandler_timeout=0

lint: $(SETUP)  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(SETUP)  ## measured figures; the practice data's folder is RAG_PRACTICE_DATA; generation needs a GPU
	-$(BIN)/python tests/benchmarks/bench_generate.py
	$(BIN)/python tests/benchmarks/bench_embed.py
	$(BIN)/python tests/benchmarks/bench_retrieval.py
	$(BIN)/python tests/benchmarks/bench_ingest.py
	$(BIN)/python tests/benchmarks/bench_archive.py
	$(BIN)/python tests/benchmarks/bench_wikipedia.py

bench-peers: $(SETUP)  ## against LlamaIndex, txtai and Haystack, each in an environment of its own; it can be stopped and goes on
	$(BIN)/python tests/benchmarks/bench_peers.py

bench-growth: $(SETUP)  ## a collection that grows to a million passages; it can be stopped and goes on
	$(BIN)/python tests/benchmarks/bench_growth.py

.venv-milvus/bin/milvus-server:  # a real one, in an environment of its own: it wants older packages than anybody else
	-$(PYTHON) -m venv .venv-milvus && .venv-milvus/bin/pip install 'setuptools<80' milvus==2.3.5

clean:  ## forget the environment (collections under indexes/ stay)
	rm -rf $(VENV)

$(SETUP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; a few minutes)"
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar on --constraint constraints.txt --editable '.[dev]'
	@touch $@
