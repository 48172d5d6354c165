# The runtime of every service of ours: Python and the locked packages. Our code is mounted, so a change of it needs no
# new image. The layers: packages (changes with the lock), user and folders (hardly ever).
FROM python:3.13-slim-trixie AS packages
COPY requirements/uv.txt requirements/runtime.txt /requirements/
RUN --mount=type=cache,target=/root/.cache \
    python -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
        --require-hashes --target /uv --requirement /requirements/uv.txt \
    && export UV_LINK_MODE=copy \
    && /uv/bin/uv venv --quiet --python python3.13 /opt/venv \
    && /uv/bin/uv pip sync --quiet --require-hashes --compile-bytecode --python /opt/venv/bin/python \
        /requirements/runtime.txt

FROM python:3.13-slim-trixie
COPY --from=packages /opt/venv /opt/venv
# The folders are the mount points of named volumes, which take over owner and mode.
RUN useradd --uid 50000 --create-home liftoff \
    && install --directory --owner liftoff --mode 0700 /data /secrets \
    && install --directory --owner liftoff /passwords/postgres /passwords/upstream \
    && printf '#!/bin/sh\nexec python -m liftoff.cli "$@"\n' >/usr/local/bin/liftoff \
    && chmod +x /usr/local/bin/liftoff
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/liftoff PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /opt/liftoff
USER liftoff
