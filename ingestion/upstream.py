"""The upstream warehouse over ADBC, read-only: all tables as they are at one moment.

Neither the address nor what the driver says of it is ever shown: with a password that is not percent-encoded, the
driver takes a piece of it for the host or the port, and says so.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

import adbc_driver_duckdb
import adbc_driver_postgresql
import adbc_driver_postgresql.dbapi
import duckdb
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, dbapi
from pydantic import SecretStr

from ingestion.landing import SourceError

SCHEMA = "business"
# The server is asked for an answer within 10 s, and a connection that went dead without a word is noticed after a
# minute and a half; libpq's own defaults are for ever, and two hours.
_PATIENCE = {"connect_timeout": "10", "keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "3"}
# At the driver's 16 MB a landing of 2 million payments took 200 MB more, and no less time.
_BATCH_BYTES = adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES
_SEE = "Check LIFTOFF_WAREHOUSE_URI."


class Upstream:
    """One transaction on the warehouse."""

    def __init__(self, cursor: dbapi.Cursor, name: str) -> None:
        self._cursor, self.name = cursor, name

    def columns(self) -> dict[str, dict[str, str]]:
        """The type of each column, as the database spells it in small letters, by table and column.

        Raises:
            SourceError: the schema holds no table that may be read, or the connection broke off.
        """
        tables: dict[str, dict[str, str]] = {}
        for table, column, kind in self.rows(
            "select table_name, column_name, data_type from information_schema.columns "
            f"where table_schema = '{SCHEMA}' order by table_name, ordinal_position"
        ):
            tables.setdefault(table, {})[column] = kind.lower()
        if not tables:
            raise SourceError(
                f"{self.name} shows no table in schema {SCHEMA}. {_SEE} If it is the right one, ask its owner to grant "
                "usage on the schema and select on its tables."
            )
        return tables

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The whole, small, answer to a query.

        Raises:
            SourceError: the connection broke off, or the database refused the query.
        """
        with self.broken_off():
            return [tuple(row.values()) for row in self.stream(query).read_all().to_pylist()]

    def stream(self, query: str) -> pa.RecordBatchReader:
        """The answer to a query, batch by batch as it comes in; read it within `broken_off`.

        Raises:
            SourceError: as above.
        """
        with self.broken_off():
            self._cursor.execute(query)
            return self._cursor.fetch_record_batch()

    @contextmanager
    def broken_off(self) -> Iterator[None]:
        """Turn what ends a stream, read by whomever, into an error for people."""
        try:
            yield
        except (dbapi.Error, pa.ArrowException, duckdb.Error) as error:
            if isinstance(error, duckdb.Error) and "stream registered as" not in str(error):
                raise
            raise _broken_off(self.name, error) from None


@contextmanager
def open_upstream(uri: SecretStr) -> Iterator[Upstream]:
    """Begin a transaction that sees one moment and can change nothing.

    Raises:
        SourceError: there is no such warehouse, it does not answer, or it does not let us in.
    """
    address = uri.get_secret_value()
    scheme = match[1] if (match := re.match(r"(\w[\w+.-]*)://", address)) else ""
    if scheme in ("postgresql", "postgres"):
        connection, name = _open_postgresql(address)
    elif scheme in ("", "duckdb"):
        connection, name = _open_duckdb(Path(unquote(urlsplit(address).path) if scheme else address).absolute())
    else:
        raise SourceError(
            f"LIFTOFF_WAREHOUSE_URI begins with {scheme}://, which is not known here. Use the path of a DuckDB file, "
            "or postgresql://user:password@host/database."
        )
    with closing(connection), closing(connection.cursor()) as cursor:
        upstream = Upstream(cursor, name)
        if scheme.startswith("postgres"):
            upstream.rows("set session characteristics as transaction isolation level repeatable read, read only")
            connection.adbc_connection.set_autocommit(False)
            cursor.adbc_statement.set_options(**{_BATCH_BYTES.value: 4 << 20})
        yield upstream


def _open_duckdb(path: Path) -> tuple[dbapi.Connection, str]:
    name = f"The warehouse {path}"
    if not path.is_file():
        raise SourceError(f"{name} is not there. {_SEE} The simulated one is written by: liftoff simulate")
    try:
        database = AdbcDatabase(
            driver=adbc_driver_duckdb.driver_path(),
            entrypoint="duckdb_adbc_init",
            path=str(path),
            access_mode="READ_ONLY",
            temp_directory="",  # what it reads in clear never goes to a file
            autoload_known_extensions="false",
            autoinstall_known_extensions="false",
        )
        return dbapi.Connection(database, AdbcConnection(database)), name
    except dbapi.Error as error:
        if "Could not set lock" in str(error):
            raise SourceError(f"{name} is being written by another process. Run again when it is done.") from None
        raise SourceError(f"{name} cannot be opened: {_first_line(error)} {_SEE}") from None


def _open_postgresql(address: str) -> tuple[dbapi.Connection, str]:
    try:
        parts, port = _split(address)
    except ValueError:
        raise SourceError(
            "LIFTOFF_WAREHOUSE_URI is not a URI. Percent-encode the special characters of its password: %40 for @, "
            "%2F for /, %3A for :, %25 for %."
        ) from None
    name = f"The warehouse PostgreSQL {parts.hostname or 'here'}{port}{parts.path}"
    try:
        return adbc_driver_postgresql.dbapi.connect(_with_patience(parts), autocommit=True), name
    except dbapi.Error as error:
        raise SourceError(f"{name} {_refusal(str(error), parts.username)} {_SEE}") from None


def _split(address: str) -> tuple[SplitResult, str]:
    parts = urlsplit(address)
    if address.count("@") != ("@" in parts.netloc):  # any other one is a piece of the password
        raise ValueError
    return parts, f":{parts.port}" if parts.port else ""


def _with_patience(parts: SplitResult) -> str:
    return parts._replace(query=urlencode(_PATIENCE | dict(parse_qsl(parts.query)), quote_via=quote)).geturl()


def _refusal(message: str, user: str | None) -> str:
    """What a failed attempt to connect means. Of the message only the server's own words are repeated."""
    if "password authentication failed" in message or "no password supplied" in message:
        return f"refused the password of user {user}."
    if said := re.search(r"FATAL:\s*(.+)", message):
        return f"refused the connection: {said[1]}."
    for sign, words in {
        "percent-encoded": "was not asked: the password has a % that is not percent-encoded (%25).",
        "could not translate": "was not found: its host name is unknown.",
        "timeout expired": "did not answer within the time allowed.",
        "refused": "was not reached: nothing listens there.",
    }.items():
        if sign in message:
            return words
    return "was not reached."


def _broken_off(name: str, error: Exception) -> SourceError:
    if getattr(error, "sqlstate", None) == "42501":
        return SourceError(f"{name} does not allow it: {_first_line(error)}. Ask its owner to grant select.")
    return SourceError(
        f"{name} broke off while it was read: {_first_line(error)}. Nothing landed. Run again; if it happens again, "
        "ask its owner."
    )


def _first_line(error: Exception) -> str:
    """The message without its details, which may quote a row."""
    line = str(error).partition("\n")[0]
    return (said[1] if (said := re.search(r"(?:ERROR|FATAL|IOError):\s*(.+)", line)) else line).strip(" .")
