#!/bin/sh
# Measures what docs/benchmarks.md reports. The libraries we compare with live in an environment of their own.
set -eu
cd "$(dirname "$0")/.."
bench=.bootstrap/bench
if [ ! -x "$bench/bin/python" ] || [ requirements/bench.txt -nt "$bench/.made" ]; then
    .bootstrap/uv/bin/uv venv --quiet --clear --python .venv/bin/python "$bench"
    .bootstrap/uv/bin/uv pip sync --quiet --require-hashes --python "$bench/bin/python" requirements/bench.txt
    .bootstrap/uv/bin/uv pip install --quiet --no-deps --no-build-isolation --python "$bench/bin/python" --editable .
    touch "$bench/.made"
fi
"$bench/bin/python" benchmarks/ingest.py
"$bench/bin/python" benchmarks/load.py
