# make run: serve on http://127.0.0.1:8000 · make test: all tests · make quick: those that need no server and no browser
# make check: everything that can be said by reading · make torture: a real site, broken on purpose
# make full: all of it, with every version and the benchmarks
PYTHON ?= $(firstword $(shell command -v python3 python3.12 python3.11 python3.13 2>/dev/null) python3)
START = $(PYTHON) project/start.py
PYTEST = $(START) --dev -m pytest
ARGS ?=

# Four at a time, on two cores too: half of a test's time is waiting for a server or a page. Each file stays in one
# process; the order is that of tests/conftest.py.
PARALLEL = -n 4 --dist loadfile --no-loadscope-reorder
# What runs on PostgreSQL as well, in pytest's own process. Tests with servers choose their databases themselves.
ON_POSTGRESQL = tests/services tests/models tests/access tests/live/test_hub.py tests/live/test_runs.py tests/project/test_odd_fields.py \
	tests/project/test_unwritable.py tests/project/accounts/test_races.py tests/web/test_odd_addresses.py

.PHONY: run test quick check full format bench torture requirements superuser demo clean

run:
	@$(START) --port -m project.serve

test:
ifeq ($(strip $(ARGS)),)
	@$(PYTEST) -q $(PARALLEL) --database postgresql $(ON_POSTGRESQL)
	@$(PYTEST) -q -m alone
	@$(PYTEST) $(PARALLEL) -m "not alone"
else
	@$(PYTEST) $(PARALLEL) $(ARGS)
endif

quick:
	@$(PYTEST) -q $(PARALLEL) --quick $(ARGS)

check:
	@$(START) --dev tests/check.py

# Long: run it before an issue is called resolved.
full: check test
	@$(PYTEST) -q -n 2 --long tests/end_to_end/test_servers_killed.py
	@$(START) --dev -m torture
	@$(START) --dev -m torture --database sqlite --pages 4 --scenario soak equality disk-full
	@$(START) --dev tests/versions.py
	@$(START) --dev -m bench

format:
	@$(START) --dev -m ruff check --fix
	@$(START) --dev -m ruff format

bench:
	@$(START) --dev -m bench $(ARGS)

# Breaks a real site on purpose (docs/operations.md): make torture ARGS="--scenario soak --seed 7 --pages 4"
torture:
	@$(START) --dev -m torture $(ARGS)

# Pins the newest versions that requirements*.in allow, with hashes: make requirements ARGS=--keep leaves versions alone.
requirements:
	@$(START) --dev -m project.requirements $(ARGS)

superuser:
	@$(START) -m project.serve --prepare
	@$(START) manage.py createsuperuser

# A team to look at: make demo; away with it: make demo ARGS=--remove
demo:
	@$(START) -m project.serve --prepare
	@$(START) manage.py demo $(ARGS)

# Removes what can be made again, .venv included; never var/, which holds the messages.
clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
