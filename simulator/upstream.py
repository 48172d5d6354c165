"""The server of the other team's warehouse, which the product's business systems write to and we may only read."""

import os
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql
from pydantic import SecretStr

SCHEMA = "business"
OWNER_URI = "upstream_owner_uri"
"""The file in the secrets folder that holds the owner's address. The platform, who may only read, does not know it."""


def owner_uri(reader_uri: SecretStr) -> str:
    """Where the business systems write what the platform reads at `reader_uri`: the same place, as its owner.

    Without the owner's file there is nobody else: who reads may also write, as with the embedded DuckDB file.
    """
    kept = Path(os.environ.get("LIFTOFF_SECRETS_DIR", ""), OWNER_URI)
    return kept.read_text() if kept.is_file() else reader_uri.get_secret_value()


def let_in_readers(owner_uri: str, reader_uri: str) -> None:
    """Make the schema and the reader's role, or bring both up to date. Safe to run again.

    The reader may connect to this database and select in this schema. Its transactions are read-only, and where it says
    otherwise there is nothing that it may write: no table, not even a temporary one, no large object.

    Args:
        owner_uri: of the owner of all tables, `postgresql://user:password@host/database`.
        reader_uri: the same with the reader's name and password; the role is made to fit it.

    Raises:
        psycopg.Error: the server cannot be reached, or refuses.
    """
    reader = urlsplit(reader_uri)
    database = sql.Identifier(reader.path.lstrip("/"))
    role, password = sql.Identifier(reader.username or ""), sql.Literal(unquote(reader.password or ""))
    schema = sql.Identifier(SCHEMA)
    with psycopg.connect(owner_uri) as connection:
        exists = connection.execute("select 1 from pg_roles where rolname = %s", [reader.username]).fetchone()
        if not exists:
            connection.execute(sql.SQL("create role {} login").format(role))
        for statement in (
            "alter role {role} with login nosuperuser nocreatedb nocreaterole noreplication password {password}",
            "alter role {role} set default_transaction_read_only = on",
            "revoke all on database {database}, postgres, template1 from public",
            "revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) from public",
            "grant connect on database {database} to {role}",
            "create schema if not exists {schema}",
            "grant usage on schema {schema} to {role}",
            "grant select on all tables in schema {schema} to {role}",
            "alter default privileges in schema {schema} grant select on tables to {role}",
        ):
            connection.execute(
                sql.SQL(statement).format(role=role, password=password, database=database, schema=schema)
            )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    let_in_readers(*((folder / name).read_text() for name in (OWNER_URI, "liftoff_warehouse_uri")))
