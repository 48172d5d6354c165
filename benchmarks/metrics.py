"""Retention and rolling actives of a million people over 90 days, against the SQL that tutorials give.

    python -m benchmarks.metrics --users 1000000 [--json]

Ours is the SQL of the models as dbt compiles it, for one window at a time and all its segments; theirs is what one
finds first, on the same tables, and gives the same totals. Each runs once, in a process of its own. Tutorials count
retention from events; for rolling windows they are given our user-days, which is kind to them.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.table import Table

from tests.unit.compiled_models import Models, compile_models

LAUNCH, DAYS = date(2026, 1, 5), 90
LAST = LAUNCH + timedelta(days=DAYS - 1)
WINDOWS = (7, 28, 365)
MODELS = ("mart_retention_cohort", "mart_active_users_rolling")

# Measured in the demo: 1.01 million events of 37,000 user-days.
EVENTS_A_DAY = 27
# 40% of the people come in the first week, the others evenly; the chance of coming back decays as in the demo.
PEOPLE = """
create table dim_user as
select
    'u_' || substr(md5(n::varchar), 1, 16) as user_id, 1 as version_number, true as is_current,
    date '{launch}' + cast(if(n % 10 < 4, n % 7, n % {days}) as integer) as created_date
from range({users}) as people(n);

create table fct_user_activity_day as
select
    user_id, activity_date, true as is_active,
    ['android', 'ios', 'tv', 'web'][1 + cast(hash(user_id) % 4 as bigint)] as platform,
    ['US', 'BR', 'DE', 'IN', 'NA', 'JP'][1 + cast(hash(user_id, 1) % 6 as bigint)] as country_code,
    '1.' || ((activity_date - date '{launch}') // 7) || '.0' as app_version
from (
    select user_id, created_date, created_date + cast(unnest(range(date '{last}' - created_date + 1)) as integer)
        as activity_date
    from dim_user
)
where activity_date = created_date
or hash(user_id, activity_date) % 1000 < 1000 * (0.3 + 0.5 * pow(activity_date - created_date, -0.7));

create table events as
select user_id, activity_date + to_seconds(cast(hash(user_id, n) % 86400 as bigint)) as event_at
from fct_user_activity_day cross join range({events_a_day}) as visits(n);

create table dim_country as
select unnest(['US', 'BR', 'DE', 'IN', 'NA', 'JP']) as country_code, 'somewhere' as region_name, 'some' as income_group;
"""

TUTORIAL_RETENTION = """
with first_seen as (select user_id, min(cast(event_at as date)) as cohort_date from events group by user_id)
select
    cohort_date, cast(event_at as date) - cohort_date as period_number, count(distinct events.user_id) as retained_users
from events join first_seen on events.user_id = first_seen.user_id
where cast(event_at as date) - cohort_date <= 28
group by all
"""
TUTORIAL_WEEKLY = """
with first_seen as (select user_id, min(cast(event_at as date)) as cohort_date from events group by user_id)
select
    date_trunc('week', cohort_date) as cohort_week, (cast(event_at as date) - cohort_date) // 7 as period_number,
    count(distinct events.user_id) as retained_users
from events join first_seen on events.user_id = first_seen.user_id
where cast(event_at as date) - cohort_date <= 62
group by all
"""
TUTORIAL_ROLLING = """
select date_day as activity_date, {segment} as segment_value, count(distinct user_id) as active_users
from dim_date
join fct_user_activity_day as activity
on activity_date between date_day - {before} and date_day
group by all
"""


def ways(sql: dict[str, str]) -> dict[str, str]:
    """What is measured: the SQL of each way by its name."""
    found = {
        "retention, tutorial, by day": TUTORIAL_RETENTION,
        "retention, tutorial, by week": TUTORIAL_WEEKLY,
        "retention, ours, by day and week": sql["mart_retention_cohort"],
    }
    for window in WINDOWS:
        for segment in ("'all'", "platform", "country_code"):
            name = segment.strip("'")
            found[f"rolling {window}, tutorial, {name}"] = TUTORIAL_ROLLING.format(segment=segment, before=window - 1)
        found[f"rolling {window}, ours, 6 segments"] = _for_one_window(sql["mart_active_users_rolling"], window)
    return found


def _for_one_window(rolling: str, window: int) -> str:
    listed = re.compile(r"\(\s*select cast\(1 as bigint\) as window_days.*?\) as windows", re.DOTALL)
    sql, replaced = listed.subn(f"(select cast({window} as bigint) as window_days) as windows", rolling)
    assert replaced == 2, "the windows are compiled in some other way: adapt this benchmark"
    return sql


def prepare(database: Path, users: int) -> dict[str, str]:
    """Make the tables, and compile the models."""
    sql = compile_models(["dim_date", *MODELS], database.parent)
    with duckdb.connect(str(database)) as connection:
        connection.execute(PEOPLE.format(launch=LAUNCH, last=LAST, days=DAYS, users=users, events_a_day=EVENTS_A_DAY))
        models = Models(sql, connection)
        models.set_dates(LAST)
        models.build("dim_date")
    return sql


def measure(database: Path, name: str, sql: str) -> dict[str, float]:
    """Run one way in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.metrics", "--database", str(database), "--result", _table(name)],
        input=sql,
        check=True,
        capture_output=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(run.stdout)
    return figures


def _table(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _run(database: Path, result: str, sql: str) -> None:
    with duckdb.connect(str(database), config={"memory_limit": "8GB", "threads": 2}) as connection:
        wall, cpu = time.perf_counter(), sum(os.times()[:2])
        connection.execute(f"create or replace table {result} as {sql}")
        seconds = {"wall": time.perf_counter() - wall, "cpu": sum(os.times()[:2]) - cpu}
    print(json.dumps(seconds))


def check(database: Path) -> dict[str, int]:
    """Both ways give the same totals. Returns how many rows of what there are."""
    with duckdb.connect(str(database), read_only=True) as connection:
        for window in WINDOWS:
            [(differing,)] = connection.execute(f"""
                select count(*) from rolling_{window}_tutorial_all as theirs
                full join (from rolling_{window}_ours_6_segments where segment_type = 'total') as ours
                using (activity_date)
                where theirs.active_users is distinct from ours.active_users
            """).fetchall()
            assert not differing, f"the rolling window of {window} days differs on {differing} days"
        [(differing,)] = connection.execute("""
            select count(*) from retention_tutorial_by_day as theirs
            full join (from retention_ours_by_day_and_week where cohort_grain = 'day' and retained_users > 0) as ours
            using (cohort_date, period_number)
            where theirs.retained_users is distinct from ours.retained_users
        """).fetchall()
        assert not differing, f"retention differs in {differing} cells"
        return {
            table: connection.execute(f"select count(*) from {table}").fetchall()[0][0]
            for table in ("dim_user", "fct_user_activity_day", "events")
        }


def main(
    users: Annotated[int, typer.Option(help="People with an account.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,  # noqa: FBT002
    database: Annotated[Path, typer.Option(hidden=True)] = Path(),
    result: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure both ways of every metric."""
    if result:
        _run(database, result, sys.stdin.read())
        return
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="liftoff-bench-") as folder:
        database = Path(folder) / "liftoff.duckdb"
        console.log(f"{users:,} people")
        figures = {}
        for name, sql in ways(prepare(database, users)).items():
            console.log(name)
            figures[name] = measure(database, name, sql)
        rows = check(database)
    ratios = {
        ours: sum(figures[name]["cpu"] for name in figures if name.startswith(f"{metric}, tutorial")) / run["cpu"]
        for ours, run in figures.items()
        for metric, _, way in [ours.partition(", ")]
        if way.startswith("ours")
    }
    if as_json:
        print(json.dumps({"rows": rows, "ways": figures, "ratios": ratios}, indent=1))
        return
    console = Console()
    title = f"{rows['dim_user']:,} people, {rows['fct_user_activity_day']:,} user-days, {rows['events']:,} events"
    table = Table("way", title=title)
    for heading in ("CPU s", "elapsed s", "all tutorial / ours"):
        table.add_column(heading, justify="right")
    for name, run in figures.items():
        ratio = f"{ratios[name]:.1f}" if name in ratios else ""
        table.add_row(name, f"{run['cpu']:.1f}", f"{run['wall']:.1f}", ratio)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
