"""Looks at what runs left behind: what landed, what was refused, what was built, what readers see."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from ingestion.landing import TRIES
from quality import page
from storage import engine, meta
from storage.engine import connect
from storage.errors import LiftoffError
from storage.lake import Lake
from storage.settings import Settings
from storage.warehouse import NoRelease, Release, ReleaseDamaged, Warehouse

Rows = list[dict[str, Any]]


class NothingToShow(LiftoffError):
    """No landing was accepted, or none of what is looked at."""


BUILDS = """
    select
        build_id as build, status, round(seconds, 1) as seconds, last_date,
        len(restated_dates) as restated, split_part(reason, chr(10), 1) as reason
    from meta.build
    order by started_at desc
    limit 5
"""
# A replay that is refused leaves the landing that it would have added to.
NOT_ACCEPTED = """
    select
        case when source = "table" then source else source || '.' || "table" end as source,
        day, status, started_at as at, split_part(reason, chr(10), 1) as reason
    from (
        from meta.ingest
        where coalesce(replay_of, '') = ''
        qualify row_number() over (partition by source, "table", day order by started_at desc) = 1
    )
    where status not in ('accepted', 'unchanged')
    order by day, source
"""
ATTEMPTS_READ = 1_000
"""Of the newest: a year of nights of the three sources."""
# Each attempt is a file, and the names of files sort by time. A failure stands until the same or a later day succeeds:
# that an old day was loaded again says nothing of last night. Builds have no day, so any release ends their failing.
FAILING = """
    with attempt as (
        select
            filename, min(started_at) as began, max(coalesce(day, 'epoch')) as last_day,
            max(coalesce(day, 'epoch')) filter (status in ('failed', 'rejected', 'blocked')) as failed_day
        from read_json($files, columns = $columns, format = 'newline_delimited', filename = true)
        where coalesce(source, 'build') in (select unnest($recorded))
        group by filename
    )
    select min(began) as since, count(*) as attempts
    from attempt as failed
    where failed_day is not null and not exists (
        from attempt as later
        where later.filename > failed.filename and later.failed_day is null and later.last_day >= failed.failed_day
    )
"""
LANDED = """
    select
        case when source = "table" then source else source || '.' || "table" end as source,
        count(*) as days, min(day) as first_day, max(day) as last_day, sum("read")::bigint as "read",
        sum(accepted)::bigint as accepted, sum(quarantined)::bigint as quarantined,
        sum(duplicates)::bigint as duplicates
    from read_json($files, columns = $columns)
    group by all
    order by all
"""
# What a record says of itself is told where it is JSON: whole, because it is filtered and counted by.
REFUSED = f"""
    create temporary table refused as
    with kept as (
        select null::{TRIES} as tries where false
        union all by name
        from read_parquet($files, hive_partitioning = true, union_by_name = true, filename = true)
    ),
    read as (
        select
            *,
            parse_path(filename) as path,
            coalesce(try(decode(raw)), raw::varchar) as said,
            if(json_valid(said), said, '{{}}')::json as record
        from kept
    )
    select
        dt as day, path[-4] as source, path[-3] as "table", file, line, reason, detail,
        record ->> 'event_name' as event_name,
        record ->> 'schema_version' as schema_version,
        record ->> 'app_version' as app_version,
        coalesce(tries[1].tried_at, strptime(path[-1][:15], '%Y%m%dT%H%M%S')) as since,
        coalesce(len(tries), 1) as tried,
        tries,
        left(said, 76) as raw
    from read
"""
REFUSED_COUNTS = """
    select
        reason, source, "table", event_name, schema_version, app_version,
        count(distinct day) as days, count(*) as records
    from refused
    group by all
    order by records desc, reason, source, "table", event_name, schema_version, app_version
"""
REPLAYED = """
    select replay.* exclude (replay_id, started_at), coalesce(status, 'unchanged') as status
    from meta.replay left join meta.ingest using (ingest_id)
    where replay.started_at >= $since
    order by replay.day, replay.reason
"""


def recent(settings: Settings) -> dict[str, Rows]:
    """What happened, by title: `builds` (the last 5), `days not accepted` (when last read), `landed`."""
    with connect(settings) as connection:
        meta.load(connection, settings.lake_dir)
        landed = list(map(str, _outcomes(settings)))
        return {
            "builds": ask(connection, BUILDS),
            "days not accepted": ask(connection, NOT_ACCEPTED),
            "landed": ask(connection, LANDED, {"files": landed, "columns": meta.TABLES["ingest"]}) if landed else [],
        }


def refused(settings: Settings, *, limit: int, day: date | None = None, **wanted: str | None) -> tuple[Rows, Rows]:
    """Records in quarantine, by the latest attempt at each day.

    Args:
        settings: where they are.
        limit: how many records, at most.
        day: only this landing day.
        wanted: only records with these values, by column of the records; None for any.

    Returns:
        Counts by reason, source, table, event, its version, and app version; and some records, their raw line shortened
        to 76.
    """
    files = [str(path) for path in Lake(settings.lake_dir).quarantines(day=day)]
    if not files:
        return [], []
    values = {name: value for name, value in wanted.items() if value is not None}
    with connect(settings) as connection:
        connection.execute(REFUSED, {"files": files})
        for name, value in values.items():
            connection.execute(f'delete from refused where "{name}" is distinct from $value', {"value": value})
        return (
            ask(connection, REFUSED_COUNTS),
            ask(connection, "from refused order by day, file, line limit $limit", {"limit": limit}),
        )


def replayed(settings: Settings, since: datetime) -> Rows:
    """What replays that began since then tried again, by day and reason, and what became of the day's landing."""
    with connect(settings) as connection:
        meta.load(connection, settings.lake_dir)
        return ask(connection, REPLAYED, {"since": since})


def ask(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None) -> Rows:
    """The answer to one statement, a dict a row.

    Raises:
        duckdb.Error: the statement cannot be answered.
    """
    result = connection.execute(sql, parameters or {})
    columns = [column[0] for column in result.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def show_landings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Give an in-memory connection a view of each landed table, named `source.table`: all accepted landings, with the
    landing day `dt`.

    Raises:
        NothingToShow: there is no landing.
        duckdb.Error: a data file cannot be read.
    """
    outcomes = _outcomes(settings)
    if not outcomes:
        raise NothingToShow("Nothing has landed yet. Load a window first: liftoff run --help")
    for folder, landings in groupby(outcomes, key=lambda path: path.parents[1]):
        source, table = folder.parts[-2:]
        # A view takes no parameters.
        data = engine.files(path.with_name("data.parquet") for path in landings)
        connection.execute(f"""
            create schema if not exists "{source}";
            create view "{source}"."{table}" as
            from read_parquet({data}, hive_partitioning = true, union_by_name = true)
        """)


def _outcomes(settings: Settings) -> list[Path]:
    """What is kept beside the data of each accepted landing, by table and day."""
    return sorted((settings.lake_dir / "raw").glob("*/*/dt=*/outcome.json"))


def report_of(settings: Settings, name: str | None) -> Path:
    """The kept report (JSON; its page lies beside it) of a release or of an audit; without a name the one to see first.

    Raises:
        LiftoffError: none is kept under that name, or nothing was audited yet.
    """
    audit = name or page.first_to_see(settings.lake_dir)
    if audit is None:
        raise LiftoffError("Nothing was audited yet. Load a window first: liftoff run --help")
    kept: dict[str, Path] = {}
    for release in Warehouse(settings.warehouse_dir, releases_kept=settings.releases_kept).releases():
        kept |= dict.fromkeys((release.id, release.gate_id), release.path / "gate_report.json")
    kept |= {path.stem: path for path in (settings.lake_dir / "reports").glob("*.json")}
    if audit not in kept:
        raise LiftoffError(
            f"There is no report of {audit}. That of a release is kept as long as the release, and liftoff releases "
            f"lists them; that of any other audit for {settings.rejected_days_kept} days."
        )
    return kept[audit]


def evidence(gate_id: str) -> str:
    """Where all that an audit found is to be seen."""
    return f"Gate in Airflow's navigation, or liftoff report {gate_id}"


def failing_since(settings: Settings, recorded: Collection[str]) -> tuple[datetime, int] | None:
    """When the attempts began to fail, in UTC, and how many have; None when no failure stands.

    Args:
        settings: where data lives.
        recorded: the sources whose landings are looked at, or `build`. A failed landing stands until the same or a
            later day of them lands, a build until the next release.
    """
    table = "build" if "build" in recorded else "ingest"
    files = sorted(map(str, (settings.lake_dir / "meta" / table).glob("*.json")))[-ATTEMPTS_READ:]
    if not files or not recorded:
        return None
    columns = {"source": "VARCHAR", "day": "DATE"} | meta.TABLES[table]  # those of a build are NULL
    with connect(settings) as connection:
        (found,) = ask(connection, FAILING, {"files": files, "columns": columns, "recorded": list(recorded)})
    return (found["since"], found["attempts"]) if found["attempts"] else None


@contextmanager
def reading(settings: Settings, release: Release) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of a release, read-only.

    Raises:
        ReleaseDamaged: they cannot be read, because they are not what was published any more.
    """
    try:
        with connect(settings, release.database, read_only=True) as connection:
            yield connection
    except duckdb.Error as error:
        if isinstance(error, duckdb.ProgrammingError) or release.is_intact():
            raise
        raise ReleaseDamaged(release.id) from error


def what_readers_see(settings: Settings) -> str:
    """The current release, in a sentence."""
    warehouse = Warehouse(settings.warehouse_dir, releases_kept=settings.releases_kept)
    try:
        release = warehouse.current()
    except NoRelease:
        return "Readers see nothing: there is no release."
    if manifest := release.manifest_if_readable:
        return f"Readers see release {release.id}, which ends on {manifest.last_date}."
    return f"Readers see release {release.id}, which is damaged: liftoff doctor says what to do."
