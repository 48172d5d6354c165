"""Where the simulated product leaves its days: logs and warehouse belong together, whatever happens in between."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from pydantic import SecretStr

from simulator.business_tables import contracts
from simulator.logs import write_day
from simulator.product import Product
from simulator.source import keep_going, missing_days, open_product
from simulator.upstream import let_in_readers, owner_uri
from simulator.warehouse import NotWritten, write_days, written_days
from tests.unit.postgres_server import ENCODED_PASSWORD, PASSWORD, postgres_server

PRODUCT = Product(users=300)
LAUNCH = PRODUCT.launch_date
DAYS = [LAUNCH + timedelta(days=number) for number in range(4)]

# Writes two days, and is killed at the statement that begins with a certain word, or when all is committed.
KILLED = """
import os, signal, sys
from contextlib import contextmanager
from datetime import timedelta
from simulator import warehouse
from simulator.product import Product

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def die_at_the_last_table(connection, table, rows):
    if table == "titles":
        die()
    append(connection, table, rows)

@contextmanager
def die_after_the_commit(uri):
    file = warehouse.duckdb.connect(uri)
    file.begin()
    yield file
    file.commit()
    die()

append, (point, path) = warehouse._append, sys.argv[1:]
if point == "before":
    warehouse._append = die_at_the_last_table
else:
    warehouse._transaction = die_after_the_commit
product = Product(users=300)
warehouse.write_days(product, [product.date_of(number) for number in (2, 3)], path)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as uri:
        yield uri


@pytest.fixture
def events_dir(tmp_path: Path) -> Path:
    open_product(tmp_path / "source", LAUNCH, users=PRODUCT.users)
    return tmp_path / "source" / "events"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "source" / "warehouse.duckdb"


def content(ask: Callable[[str], Any]) -> dict[str, list[Any]]:
    return {
        table: ask(f"select * from business.{table} order by {', '.join(contract.key)}").fetchall()
        for table, contract in contracts().items()
    }


def content_of(path: Path) -> dict[str, list[Any]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return content(connection.execute)


def test_a_day_is_missing_without_its_logs_or_without_its_rows(events_dir: Path, path: Path) -> None:
    def missing() -> list[Any]:
        return missing_days(events_dir, str(path), LAUNCH, DAYS[-1])

    assert missing() == DAYS
    for number in (0, 1):
        write_day(PRODUCT, DAYS[number], events_dir)
    assert missing() == DAYS, "logs from before there was a warehouse"
    write_days(PRODUCT, DAYS[1:3], path)
    assert missing() == [DAYS[0], DAYS[2], DAYS[3]]
    write_day(PRODUCT, DAYS[1], events_dir, damaged=True)
    assert missing() == DAYS, "a damaged day is not all there"


def test_what_is_missing_is_written_and_then_nothing_is(events_dir: Path, path: Path, tmp_path: Path) -> None:
    write_day(PRODUCT, DAYS[1], events_dir)
    keep_going(events_dir, str(path), LAUNCH, DAYS[-1], damaged=False)
    assert missing_days(events_dir, str(path), LAUNCH, DAYS[-1]) == []
    write_days(PRODUCT, DAYS, tmp_path / "at_once.duckdb")
    assert content_of(path) == content_of(tmp_path / "at_once.duckdb")


def test_the_business_of_a_damaged_day_is_true(events_dir: Path, path: Path, tmp_path: Path) -> None:
    keep_going(events_dir, str(path), LAUNCH, DAYS[-1], day=DAYS[0], damaged=True)
    assert len(list((events_dir / str(DAYS[0])).iterdir())) == 12
    write_days(PRODUCT, DAYS[:1], tmp_path / "true.duckdb")
    assert content_of(path) == content_of(tmp_path / "true.duckdb")


def test_a_day_on_which_no_account_changed_is_there_all_the_same(tmp_path: Path) -> None:
    quiet = Product(users=1)
    days = [LAUNCH + timedelta(days=number) for number in range(50, 55)]
    write_days(quiet, days, path := tmp_path / "warehouse.duckdb")
    assert not content_of(path)["account_changes"]
    assert written_days(path) == set(days)


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_writer_that_is_killed_leaves_all_of_it_or_nothing(point: str, path: Path, tmp_path: Path) -> None:
    write_days(PRODUCT, DAYS[:2], path)
    before = content_of(path)
    write_days(PRODUCT, DAYS, tmp_path / "undisturbed.duckdb")
    after = content_of(tmp_path / "undisturbed.duckdb")

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point, str(path)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    assert content_of(path) == (before if point == "before" else after), "to those who only read"
    assert written_days(path) == set(DAYS[:2] if point == "before" else DAYS)
    write_days(PRODUCT, DAYS[2:], path)
    assert content_of(path) == after


def test_a_server_and_a_file_hold_the_same(server: str, path: Path) -> None:
    for days in (DAYS[1:], DAYS[:2]):
        for uri in (server, str(path)):
            write_days(PRODUCT, days, uri)
    with psycopg.connect(server) as connection:
        connection.execute("set timezone to 'Asia/Kathmandu'")
        assert content(connection.execute) == content_of(path)
    assert written_days(server) == set(DAYS)


def test_the_reader_of_a_server_sees_the_business_alone(server: str) -> None:
    reader = server.replace("owner:" + ENCODED_PASSWORD, "reader:secret")
    write_days(PRODUCT, DAYS[:1], server)
    let_in_readers(server, reader)
    with psycopg.connect(reader) as connection:
        assert connection.execute("select count(*) from business.titles").fetchall() == [(400,)]
        tables = "select distinct table_schema from information_schema.tables where table_schema !~ '^(pg_|info)'"
        assert connection.execute(tables).fetchall() == [("business",)]
    with pytest.raises(NotWritten, match="read-only"):
        write_days(PRODUCT, DAYS[:1], reader)


def test_the_business_writes_as_the_owner_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SecretStr("postgresql://reader:secret@upstream/upstream")
    assert owner_uri(reader) == reader.get_secret_value()
    monkeypatch.setenv("LIFTOFF_SECRETS_DIR", str(tmp_path))
    assert owner_uri(reader) == reader.get_secret_value()
    (tmp_path / "upstream_owner_uri").write_text("postgresql://owner:secret@upstream/upstream")
    assert owner_uri(reader) == "postgresql://owner:secret@upstream/upstream"


def test_a_warehouse_that_is_being_read_is_not_written_and_the_message_says_so(path: Path) -> None:
    write_days(PRODUCT, DAYS[:1], path)
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=True); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout
        reader.stdout.readline()
        with pytest.raises(NotWritten, match="in use by another process") as caught:
            write_days(PRODUCT, DAYS, path)
        reader.communicate()
    assert str(path) in str(caught.value)
    write_days(PRODUCT, DAYS, path)


@pytest.mark.parametrize(
    "change", [("127.0.0.1", "127.0.0.2"), (ENCODED_PASSWORD, "wr0ng%20word"), (ENCODED_PASSWORD, PASSWORD)]
)
def test_a_server_that_cannot_be_used_is_an_error_without_the_password(server: str, change: tuple[str, str]) -> None:
    with pytest.raises(NotWritten) as caught:
        write_days(PRODUCT, DAYS, server.replace(*change))
    for piece in ("p@ss", "w:rd", "p%40", "wr0ng", "word"):
        assert piece not in str(caught.value)
