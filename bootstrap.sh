#!/bin/sh
# Makes .venv from the hashed lock files, on a machine that has Python 3.11 to 3.13 and nothing else of ours.
# Safe to run again: does nothing while the lock files are the ones that .venv was made from.
set -eu
cd "$(dirname "$0")"

lock=requirements/dev.txt
stamp=.venv/.made-from
digest=$(cat "$lock" requirements/uv.txt pyproject.toml | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ] && exit 0

is_supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    for name in ${LIFTOFF_PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        if is_supported "$name"; then
            echo "$name"
            return
        fi
    done
    echo "Liftoff needs Python 3.11, 3.12 or 3.13, and found none of them: install one, or name it in LIFTOFF_PYTHON." >&2
    exit 2
}

# uv installs the rest. Where a machine has none, pip puts the locked one beside us; where it has no pip either
# (Debian splits it off), the one that Python bundles does, and failing that, Debian's package.
install_uv() {
    if "$python" -m pip --version >/dev/null 2>&1; then
        pip="$python -m pip"
    elif "$python" -m venv .bootstrap/venv >/dev/null 2>&1; then
        pip=".bootstrap/venv/bin/python -m pip"
    elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-pip >/dev/null
        pip="$python -m pip"
    else
        echo "$python has neither pip nor venv: install one of them (Debian: apt-get install python3-venv)." >&2
        exit 2
    fi
    $pip install --quiet --disable-pip-version-check --root-user-action ignore --upgrade --require-hashes \
        --target .bootstrap/uv --requirement requirements/uv.txt
}

python=$(find_python)
echo "Setting up .venv with $("$python" --version) (once, and when the lock files change)"
[ -x .bootstrap/uv/bin/uv ] || install_uv
uv=.bootstrap/uv/bin/uv
$uv venv --quiet --clear --python "$python" .venv
$uv pip sync --quiet --require-hashes --compile-bytecode --python .venv/bin/python "$lock"
$uv pip install --quiet --no-deps --no-build-isolation --python .venv/bin/python --editable .
echo "$digest" >"$stamp"
