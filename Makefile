# make run: serve on http://127.0.0.1:8000 · make test: all tests · make check: lint, types, migrations, deployment
PYTHON ?= $(firstword $(shell command -v python3 python3.12 python3.11 python3.13 2>/dev/null) python3)
START = $(PYTHON) project/start.py
ARGS ?=

.PHONY: run test check format bench superuser demo clean

run:
	@$(START) --port -m project.serve

# Three at a time, on two cores too: half of a test's time is waiting for a server or a page. Each file stays in one
# process; the order is that of tests/conftest.py.
test:
	@$(START) --dev -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check:
	@$(START) --dev tests/check.py

format:
	@$(START) --dev -m ruff check --fix
	@$(START) --dev -m ruff format

bench:
	@$(START) --dev -m bench $(ARGS)

superuser:
	@$(START) -m project.serve --prepare
	@$(START) manage.py createsuperuser

# A team to look at: make demo; away with it: make demo ARGS=--remove
demo:
	@$(START) -m project.serve --prepare
	@$(START) manage.py demo $(ARGS)

# Removes what can be made again, .venv included; never var/, which holds the messages.
clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
