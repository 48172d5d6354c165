# Each target works on a fresh machine with Python 3.11 to 3.13, git and make; up, down and logs need Docker alone.
.DEFAULT_GOAL := help
.PHONY: help setup demo up down logs airflow test long alarms compose lint format contracts bench figures lock clean

BIN := .venv/bin
LOCK := .bootstrap/uv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
	--custom-compile-command "make lock" $(LOCK_OPTIONS)

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done

setup: ## Make .venv from the lock files (the other targets do it by themselves)
	@./bootstrap.sh

demo: setup ## The whole story in a few screens: simulate, load, publish, block, repair
	@$(BIN)/python -m liftoff.demo

up: ## The platform in containers: http://localhost:8080 (LIFTOFF_UI_PORT=8081 for another port)
	@docker compose up --build --force-recreate --wait
	@echo "http://$$(docker compose port api-server 8080), user and password: $$(docker compose exec -T api-server cat /secrets/ui_passwords.json)"

down: ## Stop the containers; all data is kept (docker compose down -v forgets it)
	@docker compose down

logs: ## What the containers say
	@docker compose logs --follow

airflow: setup ## The platform without containers: Airflow's UI on this machine, on SQLite
	@$(BIN)/python -m liftoff.standalone

test: setup ## All tests but those below, side by side on all cores (ONLY=tests/unit for a part)
	@$(BIN)/pytest -n logical --dist loadfile --no-loadscope-reorder $(ONLY)

long: setup ## Tests that take long: killed at many points, in any order, two at once; Airflow's own processes
	@$(BIN)/pytest -n logical --dist loadfile tests/long

alarms: setup ## Does the gate stay silent on 120 clean days of six products, and name what the story plants?
	@$(BIN)/pytest -n logical tests/alarms

compose: setup ## The containers end to end, from nothing to nothing (needs Docker and a Chromium: .ci/engine)
	@$(BIN)/pytest tests/compose

lint: setup ## Style, types and SQL; changes nothing
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project

format: setup ## Rewrite Python and SQL in the project's style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/sqlfluff fix --disable-progress-bar dbt_project

contracts: setup ## Write what follows from contracts/: dbt's source of events, docs/tracking-plan.md
	@$(BIN)/python -m liftoff.derived

bench: setup ## Measure speed, against other libraries (ONLY="load metrics" for two of the sections)
	@benchmarks/run.sh $(ONLY)

figures: compose ## Put the pictures and figures of that run into README.md
	@$(BIN)/python -m benchmarks.containers

lock: setup ## Compile the lock files again (LOCK_OPTIONS=--upgrade for newer versions)
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(LOCK) pyproject.toml --extra dev --extra bench -c requirements/dev.txt -o requirements/bench.txt
	@echo uv | $(LOCK) - -o requirements/uv.txt

clean: ## Remove the environment, the caches and this folder's data (the containers' data: docker compose down -v)
	@rm -rf .venv .bootstrap data .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
