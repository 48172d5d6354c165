"""The command line: thin, each command one step of the flow or one look at what it left."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.markup import escape

from ingestion.landing import Reason
from liftoff import doctor as checks
from liftoff import looks
from liftoff.display import RunDisplay
from liftoff.plan import Window
from liftoff.printing import (
    console,
    landed_at_a_glance,
    mark_of,
    period,
    print_found,
    print_json,
    print_refused,
    print_replayed,
    print_table,
    problems,
    profiled_at_a_glance,
    refused_at_a_glance,
    short,
    size,
    without_empty_columns,
)
from storage.days import describe_days, now, yesterday
from storage.engine import connect
from storage.errors import Blocked, LiftoffError, WrongUsage
from storage.lake import Lake
from storage.settings import Settings, load_settings
from storage.warehouse import NoRelease, Release, Warehouse

FAILED, WRONG_USAGE, BLOCKED, STOPPED = 1, 2, 3, 130
KINDS_SHOWN = 15  # of refused records: a screen has room for some of the records themselves

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Liftoff: from raw logs to audited releases. All data lies below LIFTOFF_DATA_DIR (./data).",
)
quarantine = typer.Typer(no_args_is_help=True, help="Look at the records that ingestion refused, and try them again.")
app.add_typer(quarantine, name="quarantine")
metrics = typer.Typer(no_args_is_help=True, help="Ask for metrics by name, grouped by any of their dimensions.")
app.add_typer(metrics, name="metrics")

Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD")]
OfReason = Annotated[Reason | None, typer.Option(metavar="REASON", help="Only this reason, for example too_late.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def main() -> None:
    """Run a command."""
    with exit_on_error():
        app()


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Expected errors become one message and an exit code: 1 failed, 2 wrong usage, 3 blocked."""
    try:
        yield
    except LiftoffError as error:
        title = {BLOCKED: "Blocked.", WRONG_USAGE: "Not done."}.get(_exit_code(error), "Failed.")
        problems.print(f"[bold red]{title}[/]", end=" ")
        problems.print(str(error), markup=False, soft_wrap=True)
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        problems.print("Stopped. Readers see nothing half-done; run the same command again.")
        sys.exit(STOPPED)


@app.command()
def simulate(
    start: Day = None,
    end: Day = None,
    users: Annotated[int | None, typer.Option(min=1, help="Expected sign-ups in the first 60 days.")] = None,
    story: Annotated[str | None, typer.Option(help="What is planted: off, launch or full.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed, other people.")] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="As a broken build would log these days.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Only days up to yesterday that are not there.")] = False,
) -> None:
    """Write the logs of the simulated product, as its collector would, its business, and the truth about both.

    Without dates: the first 60 days. The product is remembered, so that more days of it can be added.
    """
    from liftoff.simulating import missing_days, simulate_days

    settings = load_settings()
    if missing:
        days = missing_days(settings)
    else:
        first = start.date() if start else settings.launch_date
        days = Window(first, end.date() if end else max(first, settings.launch_date + timedelta(days=59))).days
    if days:
        simulate_days(settings, days, damaged=damaged, users=users, story=story, seed=seed)
    else:
        console.print("No day is missing.")


@app.command()
def run(
    start: Day = None,
    end: Day = None,
    allow_gap: Annotated[bool, typer.Option("--allow-gap", help="Publish although a day is missing.")] = False,
) -> None:
    """Load a window of days, build, audit and publish: the DAG load_window, in this process.

    Without dates: launch day to yesterday.
    """
    settings = load_settings()
    run_window(settings, start and start.date(), end and end.date(), allow_gap=allow_gap)
    release = warehouse_of(settings).current()
    console.print(f"Readers see release [bold]{release.id}[/], which ends on {release.manifest.last_date}.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """What readers see, what has landed, and what happened last."""
    settings = load_settings()
    recent, current = looks.recent(settings), _current(settings)
    if as_json:
        print_json({"release": current and current.manifest, **recent})
        return
    if current is None:
        console.print(warehouse_of(settings).why_none(), soft_wrap=True)
    else:
        console.print(f"Release [bold]{current.id}[/], {period(current)}, {size(current.manifest.database_bytes)}")
        console.print(f"Its audit: liftoff report {current.id}", soft_wrap=True)
        if gaps := current.manifest.gap_dates:
            console.print(f"[yellow]Without {describe_days(gaps)}[/], gaps that were allowed")
    for title, rows in (recent | {"landed": [landed_at_a_glance(row) for row in recent["landed"]]}).items():
        if rows:
            console.print()
            print_table(without_empty_columns(rows), title=title.capitalize())


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One statement, on the marts, facts, dimensions and the schema meta.")],
    landed: Annotated[
        bool, typer.Option("--landed", help="On all landings instead, by day dt: events.events and others.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the current release. It is opened read-only."""
    settings = load_settings()
    release = None if landed else warehouse_of(settings).current()
    try:
        with looks.reading(settings, release) if release else connect(settings) as connection:
            if release is None:
                looks.show_landings(connection, settings)
            rows = looks.ask(connection, sql)
    except duckdb.Error as error:
        asked = f"Release {release.id}" if release else "What landed"
        raise WrongUsage(f"{asked} cannot answer that.\n{error}") from None
    if as_json:
        print_json(rows)
    else:
        print_table(rows)


@app.command()
def profile(
    start: Day = None,
    end: Day = None,
    table: Annotated[str, typer.Option(metavar="TABLE", help="Only this one, such as events or payments.")] = "",
    as_json: AsJson = False,
) -> None:
    """Look at what the sources really send: grain, volume, gaps, lateness, values, what is odd, and what changed.

    Without dates: all that has landed, and what of it was refused. Writes a page, and is compared with the last time.
    """
    from liftoff.exploring import explore
    from quality.profile import kept

    settings = load_settings()
    window = _window(settings, start, end)
    with problems.status("Looking at what landed"):
        found = explore(window, table)
    if as_json:
        print_json(found)
        return
    print_table([profiled_at_a_glance(one) for one in found.tables])
    print_found("Worth a look", [one for one in found.suspicions if one.weight != "note"])
    print_found("Changed since the last profile", found.changes)
    page = short(kept.pages(settings.lake_dir)[found.profile_id])
    console.print(f"\nAll of it: open {page} in a browser.", soft_wrap=True)


@metrics.command("list")
def list_metrics(as_json: AsJson = False) -> None:
    """The metrics that the current release defines, and by what each can be grouped and filtered."""
    from liftoff.metrics import SemanticLayer

    found = SemanticLayer(warehouse_of(load_settings()).current()).metrics()
    if as_json:
        print_json(found)
        return
    for group_by in dict.fromkeys(tuple(metric["group_by"]) for metric in found):
        console.print(f"[bold]By {', '.join(group_by)}[/]")
        alike = [metric for metric in found if tuple(metric["group_by"]) == group_by]
        print_table([{"metric": metric["name"], "": metric["label"]} for metric in alike])
        console.print()


@metrics.command("query")
def query_metrics(  # noqa: PLR0913, PLR0917 - they are options of MetricFlow's own command
    names: Annotated[str, typer.Option("--metrics", metavar="NAME,...", help="Which ones.")],
    group_by: Annotated[str, typer.Option(metavar="NAME,...", help="For example metric_time,user_day__platform.")] = "",
    where: Annotated[
        list[str] | None, typer.Option(metavar="SQL", help="Such as \"{{ Dimension('user_day__platform') }} = 'tv'\".")
    ] = None,
    start: Day = None,
    end: Day = None,
    order: Annotated[str, typer.Option(metavar="NAME,...", help="Of the above; -NAME for the largest first.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead of asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the current release for metrics. It is opened read-only, and by its own definitions of them."""
    from liftoff.metrics import Question, SemanticLayer

    if start and end:
        Window(start.date(), end.date())
    question = Question(
        _names(names), _names(group_by), where or (), start and start.date(), end and end.date(), _names(order), limit
    )
    settings = load_settings()
    release = warehouse_of(settings).current()
    layer = SemanticLayer(release)
    if explain:
        print(layer.sql(question))  # noqa: T201 - to be copied: rich would wrap it
        return
    with looks.reading(settings, release) as connection:
        rows = layer.ask(connection, question)
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
    if gaps := release.manifest.gap_dates:
        problems.print(f"[yellow]Without {describe_days(gaps)}[/], gaps that were allowed")


@app.command()
def docs() -> None:
    """Write the documentation of models, columns and metrics, with their lineage, as one page."""
    from liftoff.dbt import write_docs

    settings = load_settings()
    page = write_docs(settings, warehouse_of(settings).current())
    console.print(f"Open {short(page)} in a browser.")


@app.command("tracking-plan")
def write_plan() -> None:
    """Write what clients send, what it means, and which metrics break without it, as one page."""
    from liftoff.tracking_plan import write_tracking_plan

    console.print(f"Open {short(write_tracking_plan(load_settings()))} in a browser.")


@app.command()
def releases(as_json: AsJson = False) -> None:
    """The releases that are kept, the newest first."""
    settings = load_settings()
    warehouse, current = warehouse_of(settings), _current(settings)
    kept = warehouse.releases()
    if as_json:
        print_json([{"is_current": release == current, **_read(release)} for release in kept])
        return
    if kept:
        marks = {current: "current"}
        print_table([{"release": one.id, "": marks.get(one, ""), **_in_short(one)} for one in kept])
    if current is None:
        console.print(warehouse.why_none(), soft_wrap=True)


@app.command()
def report(
    name: Annotated[
        str | None, typer.Argument(help="A release, or an audit. Without it: what blocked last, else the last audit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Where the page lies on which the gate reports what it found."""
    kept = looks.report_of(load_settings(), name)
    if as_json:
        print(kept.read_text(encoding="utf-8"), end="")  # noqa: T201 - exactly these bytes: rich would wrap them
        return
    page = kept.with_suffix(".html")
    print(short(page if page.exists() else kept))  # noqa: T201 - to be opened, whole


@app.command()
def rollback(
    release: Annotated[str | None, typer.Argument(help="Which one. Without it: the parent of the current one.")] = None,
) -> None:
    """Show readers an earlier release again. The next build starts from it."""
    shown = warehouse_of(load_settings()).roll_back(release)
    console.print(f"Readers see release [bold]{shown.id}[/] again, which ends on {shown.manifest.last_date}.")


@quarantine.command("list")
def list_quarantine(  # noqa: PLR0913, PLR0917 - each narrows the list
    day: Day = None,
    reason: OfReason = None,
    source: Annotated[str | None, typer.Option(help="Only of this source, for example warehouse or fx.")] = None,
    table: Annotated[str | None, typer.Option(help="Only of this table, for example events or payments.")] = None,
    event: Annotated[str | None, typer.Option(help="Only of this event, as the record names it.")] = None,
    version: Annotated[str | None, typer.Option(help="Only of this version of the event.")] = None,
    app_version: Annotated[str | None, typer.Option(help="Only from this version of the app.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many records.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Count refused records by reason and by what they say of themselves, and show some of them.

    Raw lines may hold personal data.
    """
    counts, records = looks.refused(
        load_settings(),
        limit=limit,
        day=day and day.date(),
        reason=reason,
        source=source,
        table=table,
        event_name=event,
        schema_version=version,
        app_version=app_version,
    )
    if as_json:
        print_json({"counts": counts, "records": records})
    elif counts:
        print_table([refused_at_a_glance(row) for row in counts[:KINDS_SHOWN]])
        if more := sum(row["records"] for row in counts[KINDS_SHOWN:]):
            console.print(
                f"and {more:,} records of {len(counts) - KINDS_SHOWN:,} more kinds: narrow the list, or --json"
            )
        for record in records:
            print_refused(record)
    else:
        console.print("No such record is in quarantine.")


@quarantine.command("replay")
def replay_quarantine(
    start: Day = None,
    end: Day = None,
    reason: OfReason = None,
    table: Annotated[str, typer.Option(help="Only events can be: others are read again at their source.")] = "events",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be accepted; change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try refused log lines again, by mended contracts or a wider rule, and publish what is accepted now.

    The DAG replay_quarantine, in this process. Without dates: every landed day.
    """
    from liftoff import replay

    settings = load_settings()
    if table != "events":
        raise WrongUsage(
            f"{table.capitalize()} can be asked for again at their source: load their days once it is mended, with "
            f"liftoff run. Which days: liftoff quarantine list --table {table}"
        )
    window = _window(settings, start, end)
    before, began = _current(settings), now()
    if dry_run:
        rows = replay.rehearse(window, reason)
    else:
        conf = {"start": window and str(window.start), "end": window and str(window.end), "reason": reason}
        _run_dag("replay_quarantine", conf, settings, display_on=problems if as_json else console)
        rows = looks.replayed(settings, began)
    if as_json:
        print_json(rows)
        return
    print_replayed(rows, is_rehearsal=dry_run)
    for sentence in replay.left_out(Lake(settings.lake_dir), window):
        console.print(escape(sentence), soft_wrap=True)
    if dry_run:
        return
    after = _current(settings)
    if after and after != before:
        console.print(f"Readers see release [bold]{after.id}[/], which ends on {after.manifest.last_date}.")
    else:
        console.print(f"Nothing new is accepted. {looks.what_readers_see(settings)}", soft_wrap=True)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this machine, the settings and what is stored; each problem with its remedy."""
    findings = checks.examine()
    if as_json:
        print_json(findings)
    else:
        marks = {look: mark_of(look) for look in findings}
        print_table([{"": mark, "what": look.what, "found": look.found} for look, mark in marks.items()])
        for look, mark in marks.items():
            if not look.is_fine:
                console.print(f"[{mark.style}]{look.what}:[/] {escape(look.remedy)}")
    if not all(look.is_fine or look.is_warning for look in findings):
        raise typer.Exit(FAILED)


def run_window(settings: Settings, start: date | None, end: date | None, *, allow_gap: bool = False) -> RunDisplay:
    """Run `load_window` headless, with progress on the terminal.

    Raises:
        LiftoffError: what stopped it.
    """
    if start and end:
        Window(start, end)  # refuses dates in the wrong order before Airflow has started
    conf = {"start": start and str(start), "end": end and str(end), "allow_gap": allow_gap}
    return _run_dag("load_window", conf, settings)


def _run_dag(dag_id: str, conf: Mapping[str, Any], settings: Settings, *, display_on: Console = console) -> RunDisplay:
    from liftoff import headless

    with RunDisplay(display_on, first_stage="start") as display:
        headless.run_dag(dag_id, conf, settings, on_record=display.on_record)
    return display


def _window(settings: Settings, start: datetime | None, end: datetime | None) -> Window | None:
    """The days asked for, None for any; one end alone goes to launch day or to yesterday."""
    if start is None and end is None:
        return None
    return Window(start.date() if start else settings.launch_date, end.date() if end else yesterday())


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse that the settings name."""
    return Warehouse(settings.warehouse_dir, releases_kept=settings.releases_kept)


def _exit_code(error: LiftoffError) -> int:
    if isinstance(error, Blocked):
        return BLOCKED
    return WRONG_USAGE if isinstance(error, WrongUsage) else FAILED


def _current(settings: Settings) -> Release | None:
    try:
        return warehouse_of(settings).current()
    except NoRelease:
        return None


def _in_short(release: Release) -> dict[str, Any]:
    if manifest := release.manifest_if_readable:
        return {
            "last_date": manifest.last_date,
            "restated": len(manifest.restated_dates),
            "gaps": len(manifest.gap_dates),
            "size": size(manifest.database_bytes),
        }
    return {"last_date": "damaged", "restated": "", "gaps": "", "size": ""}


def _read(release: Release) -> dict[str, Any]:
    """What it says of itself, or its id alone when it is damaged."""
    if manifest := release.manifest_if_readable:
        return {name: getattr(manifest, name) for name in manifest.__dataclass_fields__ if name != "inputs"}
    return {"release_id": release.id}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    main()
