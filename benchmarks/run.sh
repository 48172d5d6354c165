#!/bin/sh
# Measures and writes docs/benchmarks.md. The libraries that we compare with live in an environment of their own.
set -eu
cd "$(dirname "$0")/.."
bench=.bootstrap/bench
digest=$(cat requirements/bench.txt pyproject.toml | cksum)
if [ ! -f "$bench/.made-from" ] || [ "$(cat "$bench/.made-from")" != "$digest" ]; then
    .bootstrap/uv/bin/uv venv --quiet --clear --python .venv/bin/python "$bench"
    .bootstrap/uv/bin/uv pip sync --quiet --require-hashes --python "$bench/bin/python" requirements/bench.txt
    .bootstrap/uv/bin/uv pip install --quiet --no-deps --no-build-isolation --python "$bench/bin/python" --editable .
    echo "$digest" >"$bench/.made-from"
fi
exec "$bench/bin/python" -m benchmarks.report "$@"
