"""The demo: a launch is simulated, loaded and published, compared with the truth, damaged and repaired."""

import os
import shutil
import sys
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from liftoff import looks
from liftoff.cli import exit_on_error, run_window, warehouse_of
from liftoff.display import RunDisplay
from liftoff.plan import Window
from liftoff.printing import console
from liftoff.simulating import simulate_days
from simulator import api_server
from simulator.verdict import Verdict, compare
from storage.engine import connect
from storage.errors import Blocked, LiftoffError, WrongUsage
from storage.lake import Lake
from storage.settings import Settings, load_settings
from storage.warehouse import Release

DAYS = 60
MARK = ".made-by-demo"
WIDTH = 96


def main() -> None:
    """Tell the story. The data folder is the demo's own; one that holds anything else is left alone."""
    with exit_on_error(), api_server.serving() as services:
        os.environ |= api_server.variables(services)
        settings = load_settings()
        first, last = settings.launch_date, settings.launch_date + timedelta(days=DAYS - 1)
        _take_folder(settings)
        _say(
            "Liftoff: the launch of a streaming product",
            f"Its clients log what people do; {DAYS} days of these logs are simulated here, with late, repeated, "
            "broken and lost events. Accounts, subscriptions and payments are in another team's warehouse, countries "
            "and exchange rates with third-party services, for which stand-ins speak on this machine. The truth about "
            "all of it is written down beside it.",
        )
        simulate_days(settings, Window(first, last).days)

        _say(
            "Load, build, audit, publish",
            "One run of the DAG load_window. What passes its contract lands in the lake, dbt builds the marts on a "
            "copy, Soda checks them, and only then do readers see the new release.",
        )
        display = run_window(settings, first, last)
        release = _current(settings)
        _show_load(settings, release, display)
        _show_numbers(settings, release)
        _show_findings(settings, release)

        next_day = last + timedelta(days=1)
        _say(
            f"{next_day}: the day arrives damaged",
            "A broken Android build logs every event without its user, and the second half of the day is missing.",
        )
        simulate_days(settings, [next_day], damaged=True)
        _expect_block(settings, next_day)

        _say(f"{next_day}: the repaired day arrives", "The same command again. Nothing has to be cleaned up first.")
        simulate_days(settings, [next_day])
        run_window(settings, next_day, next_day)
        release = _current(settings)
        console.print(f"\nReaders see release [bold]{release.id}[/], which ends on {release.manifest.last_date}.")
        _show_verdict(compare(release.database, _truth(settings, "knowable")))
        (settings.data_dir / MARK).write_text(_state(settings))
        _show_next(settings)


def _take_folder(settings: Settings) -> None:
    """Start from an empty folder; remove only what the demo itself left, and nothing was added to since."""
    mark = settings.data_dir / MARK
    if settings.data_dir.exists() and any(settings.data_dir.iterdir()):
        if not mark.exists() or mark.read_text() != _state(settings):
            raise WrongUsage(
                f"{settings.data_dir} holds data that the demo did not make. Keep it, and give the demo a folder of "
                "its own: LIFTOFF_DATA_DIR=demo make demo. Or remove it: make clean"
            )
        shutil.rmtree(settings.data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    mark.write_text(_state(settings))


def _state(settings: Settings) -> str:
    """What tells the demo's own data from data that someone added: each landing, and each release ever shown."""
    landings = (f"{outcome.day} {outcome.ingest_id}" for outcome in Lake(settings.lake_dir).accepted())
    releases = sorted({entry["release"] for entry in warehouse_of(settings).history()})
    return "\n".join([*landings, *releases])


def _say(title: str, text: str) -> None:
    console.print()
    console.print(Rule(f"[bold]{title}", align="left", style="dim"))
    console.print(text, width=min(console.width, WIDTH))
    console.print()


def _show_load(settings: Settings, release: Release, display: RunDisplay) -> None:
    landed = {row["source"]: row for row in looks.recent(settings)["landed"]}
    logs = landed.pop("events")
    share = f"{logs['quarantined'] / logs['read']:.2%}"
    console.print(
        f"\n{logs['read']:,} log lines read: {logs['accepted']:,} accepted, {logs['duplicates']:,} repeated, "
        f"{logs['quarantined']:,} ({share}) set aside with their reason. None is unaccounted for.\n"
        f"Beside them landed {_listed(landed.values())}. No e-mail, name or birthday arrived in clear.\n"
        f"Release [bold]{release.id}[/] is published: {display.total:.0f} s, {display.seconds['start']:.0f} of them "
        "for Airflow to start.",
        width=min(console.width, WIDTH),
    )


def _listed(landed: Iterable[dict[str, Any]]) -> str:
    """How many records of each table, in words."""
    counts = [f"{row['accepted']:,} {row['source'].split('.')[-1].replace('_', ' ')}" for row in landed]
    return f"{', '.join(counts[:-1])} and {counts[-1]}"


def _show_numbers(settings: Settings, release: Release) -> None:
    _say(
        "The numbers beside the truth",
        "knowable: what the delivered logs can tell at best. happened: what really happened. Published must equal "
        "knowable; the difference between the two is the price of lost and late events. Business data arrives "
        "complete, so there the two are one.",
    )
    table = Table(box=None, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("metric")
    for side in ("published", "knowable", "happened"):
        table.add_column(side, justify="right")
    for title, values in _headlines(settings, release).items():
        table.add_row(title, *values)
    console.print(table)
    _show_verdict(compare(release.database, _truth(settings, "knowable")))


def _retained(day_number: int) -> tuple[str, str, str]:
    sql = "select sum(retained_users) / sum(cohort_users) from {} where {} and retained_users is not null"
    return (
        sql.format("mart_retention_cohort", f"cohort_grain = 'day' and period_number = {day_number}"),
        sql.format("'{truth}/retention_daily.parquet'", f"day_number = {day_number}"),
        "{:.2%}",
    )


def _rolling(table: str) -> str:
    in_total = "segment_type = 'total' and window_days = 28 and activity_date = date '{last}'"
    return f"select active_users from {table} where {in_total}"


# Each metric once for a release and once for the truth's files: two ways to the same number, on purpose.
HEADLINES = {
    "accounts created": (
        "select sum(cohort_users) from mart_retention_cohort where cohort_grain = 'day' and period_number = 0",
        "select sum(created_count) from '{truth}/accounts_daily.parquet'",
        "{:,.0f}",
    ),
    "accounts open at the end": (
        "select count(*) from dim_user where is_current and account_status = 'open'",
        "select open_count from '{truth}/accounts_daily.parquet' where date = date '{last}'",
        "{:,.0f}",
    ),
    "paying subscribers at the end": (
        "select count(*) from fct_subscription_change where next_changed_at is null and status = 'active'",
        "select sum(active_count) from '{truth}/subscriptions_daily.parquet' where date = date '{last}'",
        "{:,.0f}",
    ),
    "revenue, US dollars": (
        "select sum(revenue_usd) from fct_payment",
        "select sum(revenue_usd) from '{truth}/revenue_daily.parquet' where segment_type = 'total'",
        "{:,.4f}",
    ),
    "active users, mean of the last 7 days": (
        "select avg(active_users) from mart_active_users_daily where activity_date > date '{last}' - 7",
        "select avg(active_users) from '{truth}/active_users_daily.parquet' where activity_date > date '{last}' - 7",
        "{:,.1f}",
    ),
    "active users of the last 28 days": (
        _rolling("mart_active_users_rolling"),
        _rolling("'{truth}/active_users_rolling.parquet'"),
        "{:,.0f}",
    ),
    "hours watched by known users": (
        "select sum(watched_seconds) / 3600 from fct_user_activity_day where activity_date <= date '{last}'",
        "select sum(watch_hours) from '{truth}/engagement_daily.parquet' where segment_type = 'total'",
        "{:,.1f}",
    ),
    **{f"day-{number} retention, all cohorts old enough": _retained(number) for number in (1, 7, 28)},
    "sessions": (
        "select count(*) from fct_session where session_date <= date '{last}'",
        "select sum(session_count) from '{truth}/sessions_daily.parquet'",
        "{:,.0f}",
    ),
    "crash-free sessions": (
        "select avg(is_crash_free::int) from fct_session where session_date <= date '{last}'",
        "select sum(crash_free_session_count) / sum(started_session_count) from '{truth}/sessions_daily.parquet'",
        "{:.2%}",
    ),
}


def _headlines(settings: Settings, release: Release) -> dict[str, list[str]]:
    last = release.manifest.last_date
    rows = {}
    with connect(settings, release.database, read_only=True) as connection:
        for title, (published, truth, form) in HEADLINES.items():
            questions = [
                published.format(last=last),
                *(truth.format(last=last, truth=_truth(settings, side)) for side in ("knowable", "happened")),
            ]
            rows[title] = [form.format(connection.execute(sql).fetchall()[0][0]) for sql in questions]
    return rows


# What was planted in the launch, as the marts that look for such things put it first.
FINDINGS = {
    "What broke, against a week before?": """
        select
            segment_value || ' on ' || activity_date,
            printf('%.0f people could not use the app who would have the week before', -rate_effect)
        from mart_metric_driver where segment_type = 'release' order by rate_effect limit 1
    """,
    "Where was it dark?": """
        select
            any_value(country.country_name) || ' on ' || activity_date,
            printf(
                'from %d to %d h UTC %d devices were seen, %.0f were expected',
                min(hour_of_day), max(hour_of_day) + 1, sum(active_devices)::bigint, sum(expected_active_devices)
            )
        from mart_activity_hourly as hourly join dim_country as country using (country_code)
        where shortfall_rank <= 6 group by country_code, activity_date order by count(*) desc limit 1
    """,
    "Whose first day matters?": """
        select
            'first day: ' || if(driver_value = 'neither', 'nothing played', driver_value),
            printf(
                '%.0f%% come back on the next day, of all %.0f%%', 100 * retention_rate, 100 * overall_retention_rate
            )
        from mart_retention_driver where driver = 'first_day' and day_number = 1 order by retention_rate limit 1
    """,
    "Which variants are worth it?": """
        select
            experiment_id || if(has_ended, ', ended', ''),
            if(
                has_sample_ratio_mismatch, '',
                printf('%s %+.0f%% (%+.0f to %+.0f): ', metric, 100 * lift, 100 * lift_low, 100 * lift_high)
            ) || verdict
        from mart_experiment_result where metric_role = 'goal' and variant_id = 'treatment' order by p_value
    """,
}


def _show_findings(settings: Settings, release: Release) -> None:
    _say(
        "What the launch team reads in them",
        "A bad release, a country that went dark, and experiments of which one works, one does nothing and one is "
        "broken were planted in the launch, and first days that people do not come back from. The marts find them.",
    )
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    with connect(settings, release.database, read_only=True) as connection:
        for question, sql in FINDINGS.items():
            for number, (subject, finding) in enumerate(connection.execute(sql).fetchall()):
                table.add_row("" if number else question, Text(subject, "cyan"), finding)
    console.print(table)


def _show_verdict(verdicts: list[Verdict]) -> None:
    compared = sum(verdict.compared for verdict in verdicts)
    wrong = [verdict for verdict in verdicts if len(verdict.differences)]
    if not wrong:
        console.print(f"\n[green]✓[/] All {compared:,} published values equal what can be known.")
        return
    for verdict in wrong:
        console.print(f"[red]✗[/] {verdict.name}: {len(verdict.differences)} of {verdict.compared} values differ")
        console.print(verdict.differences.head(5).to_string(index=False))
    raise LiftoffError("Published numbers differ from the truth: this is a bug. Please report it with the rows above.")


def _expect_block(settings: Settings, day: date) -> None:
    before = _current(settings)
    try:
        run_window(settings, day, day)
    except Blocked as error:
        console.print()
        console.print(Panel(Text(str(error)), title="Blocked", border_style="red", title_align="left"))
    else:
        raise LiftoffError("The gate let a damaged day pass: this is a bug. Please report it.")
    if _current(settings).id != before.id:
        raise LiftoffError("The release changed although the gate blocked: this is a bug. Please report it.")


def _show_next(settings: Settings) -> None:
    run = Path(sys.executable).with_name("liftoff")
    short = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
    services = f"{short.with_name('python')} -m simulator.api_server"
    commands = {
        f"{short} status": "what readers see, what landed, what was blocked",
        f'{short} query "from mart_active_users_daily"': "ask the release",
        f"{short} quarantine list": "the lines that were set aside, and why",
        f"{short} rollback": "show readers the release before this one",
        services: "the stand-ins, for loads of your own; else those ask the live services",
    }
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    for command, meaning in commands.items():
        table.add_row(Text(command, "cyan"), meaning)
    _say("What to look at next", f"All data is in {settings.data_dir}.")
    console.print(Group(table, Text("\nWhy it is built this way: docs/problem.md and docs/decisions/")))


def _current(settings: Settings) -> Release:
    return warehouse_of(settings).current()


def _truth(settings: Settings, side: str) -> Path:
    return settings.events_dir.parent / "truth" / side


if __name__ == "__main__":
    main()
