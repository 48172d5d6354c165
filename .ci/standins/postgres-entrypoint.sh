#!/usr/bin/env bash
# What compose files rely on in the official image: POSTGRES_* (or files that POSTGRES_*_FILE name), a cluster made at
# the first start, with /docker-entrypoint-initdb.d run once, and a server that runs as the user postgres.
set -euo pipefail

for name in POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB POSTGRES_INITDB_ARGS; do
    file=${name}_FILE
    if [ -n "${!file:-}" ]; then
        export "$name=$(<"${!file}")"
        unset "$file"
    fi
done
export POSTGRES_USER=${POSTGRES_USER:-postgres}
export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}

[ "${1#-}" = "$1" ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    find "$PGDATA" ! -user postgres -exec chown postgres:postgres {} +
    chmod 700 "$PGDATA"
    export HOME=/var/lib/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

run_init_scripts() {
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh)
                echo "Running $script"
                # shellcheck disable=SC1090
                if [ -x "$script" ]; then "$script"; else . "$script"; fi
                ;;
            *.sql)
                echo "Running $script"
                psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --file "$script"
                ;;
        esac
    done
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "The database needs a password: set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE to a file with it." >&2
        exit 1
    fi
    # As in the official image, only connections from outside of the container must give the password.
    # shellcheck disable=SC2086
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --set listen_addresses='*' \
        ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"

    # No port is open before all is in place: who waits for one must not find a database that is half set up.
    export PGPASSWORD=$POSTGRES_PASSWORD
    pg_ctl start --wait --options "-c listen_addresses=''"
    if [ "$POSTGRES_DB" != postgres ]; then
        createdb --username "$POSTGRES_USER" --maintenance-db postgres "$POSTGRES_DB"
    fi
    run_init_scripts
    pg_ctl stop --wait --mode fast
    unset PGPASSWORD
fi
exec "$@"
