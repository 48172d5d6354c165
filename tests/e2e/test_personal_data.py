"""What people gave the business systems in confidence is nowhere in what the platform keeps."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from liftoff import intake
from storage.errors import LiftoffError
from tests.launch import Platform, Source, day, window

LAST = 2


@pytest.fixture
def secrets(source: Source) -> set[str]:
    """Each address, name and birthday that the platform was sent."""
    with duckdb.connect(str(source.warehouse), read_only=True) as warehouse:
        rows = warehouse.execute(f"""
            select unnest([email, full_name, cast(birth_date as varchar)]) from business.account_changes
            where changed_at < date '{day(LAST)}' + 1
        """).fetchall()
    return {text for (text,) in rows if text}


@pytest.fixture
def broken_warehouse(source: Source, tmp_path: Path) -> Path:
    """A copy, in which a third of the accounts break their contract in a column beside the personal ones."""
    copy = tmp_path / "broken.duckdb"
    copy.write_bytes(source.warehouse.read_bytes())
    with duckdb.connect(str(copy)) as warehouse:
        warehouse.execute("""
            update business.account_changes set change_type = 'vanished' where change_id % 3 = 0;
            update business.account_changes set birth_date = 'infinity' where change_id % 7 = 0;
        """)
    return copy


def texts_of(path: Path) -> Iterator[str]:
    """All that a file says."""
    with duckdb.connect() as reader:
        if path.suffix == ".parquet":
            yield from (str(row) for row in reader.execute("from read_parquet(?)", [str(path)]).fetchall())
        elif path.suffix == ".duckdb":
            reader.execute(f"attach '{path}' as kept (read_only)")
            tables = reader.execute("select schema_name, table_name from duckdb_tables() where database_name = 'kept'")
            for schema, table in tables.fetchall():
                yield from (str(row) for row in reader.execute(f'from kept."{schema}"."{table}"').fetchall())
        else:
            content = path.read_bytes()
            yield (gzip.decompress(content) if path.suffix == ".gz" else content).decode(errors="replace")


def test_no_file_of_the_platform_holds_personal_data_in_clear(
    platform: Platform,
    secrets: set[str],
    broken_warehouse: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert len(secrets) > 500
    platform.load(0, LAST)
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", str(broken_warehouse))
    with pytest.raises(LiftoffError) as blocked:
        intake.land_extracts(window(0, LAST))

    files = [path for path in platform.data_dir.rglob("*") if path.is_file() and not path.is_symlink()]
    kinds = {path.relative_to(platform.data_dir).parts[:2] for path in files}
    assert kinds >= {
        ("lake", "raw"),
        ("lake", "rejected"),
        ("lake", "quarantine"),
        ("lake", "reports"),
        ("lake", "meta"),
        ("warehouse", "releases"),
    }
    said = {"the log": caplog.text, "the message": str(blocked.value)}
    said |= {str(path): "\n".join(texts_of(path)) for path in files}
    assert "1.0.0" in "".join(said.values()), "this reads nothing"
    for where, text in said.items():
        found = {secret for secret in secrets if secret in text}
        assert not found, f"{where} holds {len(found)} of them, such as {min(found)}"


def test_the_same_person_has_the_same_pseudonym_on_every_day(platform: Platform) -> None:
    intake.land_extracts(window(0, LAST))
    files = platform.data_dir / "lake" / "raw" / "warehouse" / "account_changes" / "*" / "data.parquet"
    (people, pseudonyms) = duckdb.sql(
        f"select count(distinct user_id), count(distinct email_hash) from '{files}'"
    ).fetchall()[0]
    assert people > 200
    assert people <= pseudonyms < 1.1 * people, "a few changed their address"
