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
report=$(mktemp)
cat >"$report" <<END
# Benchmarks

Written by \`make bench\` on $(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD), $(getconf _NPROCESSORS_ONLN) cores. Seconds
are this machine's own; the ratios are what to compare.

## Event ingest, against the least that it can cost

The floor is one \`read_json\` with explicit columns to Parquet: no checks, no repeats removed, a bad line ends it.
None of the other libraries keeps bad lines.

\`\`\`text
END
"$bench/bin/python" benchmarks/ingest.py --lines "${BENCH_LINES:-400000}" >>"$report"
cat >>"$report" <<'END'
```

## The demo's load: 60 days in one window

```text
END
"$bench/bin/python" -m benchmarks.load >>"$report"
cat >>"$report" <<'END'
```

## Two million payments out of a PostgreSQL

Ours checks each row and hashes what is personal; the others only fetch.

```text
END
"$bench/bin/python" -m benchmarks.extract >>"$report"
cat >>"$report" <<'END'
```

## Third-party services: all countries, indicators and rates

The stand-in waits before each answer, as a network would. Its limit is ours: four requests at once.

```text
END
"$bench/bin/python" -m benchmarks.services >>"$report"
cat >>"$report" <<'END'
```

## Retention and rolling actives of a million people

Against the SQL that tutorials give, which has to be run for each answer: both kinds of retention, and each window for
everybody and by two segments. Ours gives all of them at once, by six segments.

```text
END
"$bench/bin/python" -m benchmarks.metrics >>"$report"
cat >>"$report" <<'END'
```

## One more day, after a month and after a year

```text
END
"$bench/bin/python" -m benchmarks.increment >>"$report"
echo '```' >>"$report"
cat "$report"
mv "$report" docs/benchmarks.md
