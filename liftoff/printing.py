"""What the command line prints: tables that fit the terminal, findings a line each, JSON for machines."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_core import to_json
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from liftoff.doctor import Finding
from quality.profile.findings import Change, Suspicion
from quality.profile.findings import Table as ProfiledTable
from storage.warehouse import Release

console = Console(highlight=False)
problems = Console(stderr=True, highlight=False)


def print_table(rows: Sequence[dict[str, Any]], *, title: str | None = None) -> None:
    """A table where it fits the terminal; else, as psql does, one value a line."""
    if not rows:
        console.print("No rows.")
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if _is_number(value) else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    if Measurement.get(console, console.options.update(width=1_000), table).maximum <= console.width or _has_text(rows):
        console.print(table)
        return
    width = max(map(len, rows[0]))
    for row in rows:
        console.print()
        for name, value in row.items():
            console.print(f"{name:<{width}} ", _cell(value))


def print_json(value: Any) -> None:
    """Exactly these bytes, for machines."""
    print(to_json(value, indent=1).decode())  # noqa: T201 - exactly these bytes: rich would wrap them


def _cell(value: Any) -> RenderableType:
    match value:
        case Text():
            return value
        case None:
            return Text("null", "dim")
        case bool():
            return str(value).lower()
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case int() | float():
            return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
        case _:
            return escape(str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_text(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether a column holds sentences, which a table can fold without harm."""
    return any(isinstance(value, str) and value.count(" ") > 4 for row in rows for value in row.values())


def without_empty_columns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with the columns that any of them fills."""
    filled = [name for name in rows[0] if any(row[name] not in {None, ""} for row in rows)]
    return [{name: row[name] for name in filled} for row in rows]


def landed_at_a_glance(landed: dict[str, Any]) -> dict[str, Any]:
    """What of a table's landings fits 80 columns."""
    shown = ("days", "last_day", "accepted", "quarantined", "duplicates")
    return {"table": landed["source"].rpartition(".")[2]} | {name: landed[name] for name in shown}


def refused_at_a_glance(counted: dict[str, Any]) -> dict[str, Any]:
    """What of a count of refused records fits 80 columns."""
    source, table = counted["source"], counted["table"]
    event, version = _shown(counted["event_name"], 20), _shown(counted["schema_version"], 4)
    return {
        "reason": counted["reason"],
        "kind": " ".join(filter(None, (table if source == table else f"{source}.{table}", event, version))),
        "app": _shown(counted["app_version"], 12),
        "days": counted["days"],
        "records": counted["records"],
    }


def print_refused(record: dict[str, Any]) -> None:
    """A refused record, why, and how often it was tried."""
    console.print(f"\n{record['day']} {record['file']}:{record['line']}  [bold]{record['reason']}[/]", end="")
    console.print(f": {escape(_shown(record['detail']))}\n  [dim]{escape(_shown(record['raw']))}[/]")
    if record["tried"] > 1:
        reasons = ", ".join(dict.fromkeys(verdict["reason"] for verdict in record["tries"]))
        console.print(f"  refused {record['tried']} times since {record['since']:%Y-%m-%d}: {reasons}")


def _shown(said: str | None, length: int | None = None) -> str:
    """What a client said, cut to a length. What cannot be printed, and could steer a terminal, is a dot."""
    said = "".join(character if character.isprintable() else "·" for character in said or "")
    return said if length is None or len(said) <= length else f"{said[: length - 1]}…"


def print_replayed(rows: Sequence[dict[str, Any]], *, is_rehearsal: bool) -> None:
    """What a replay tried and accepted, by reason."""
    if not rows:
        console.print("Nothing to replay: no such log line is in quarantine.")
        return
    counted = {
        reason: [row for row in rows if row["reason"] == reason] for reason in sorted({row["reason"] for row in rows})
    }
    print_table(
        [
            {
                "reason": reason,
                "days": len({row["day"] for row in alike}),
                "tried": sum(row["tried"] for row in alike),
                "would be accepted" if is_rehearsal else "accepted": sum(row["accepted"] for row in alike),
            }
            for reason, alike in counted.items()
        ]
    )


def profiled_at_a_glance(table: ProfiledTable) -> dict[str, Any]:
    """What of a table's profile fits 80 columns."""
    key = "+".join(table.grain.keys[0]) if table.grain.keys else "none"
    return {"table": table.table, "rows": table.rows, "landings": len(table.days), "key": key}


def print_found(title: str, found: Sequence[Suspicion | Change]) -> None:
    """Findings, a line each, and what shows them."""
    if found:
        console.print(f"\n[bold]{title}[/]")
    for one in found:
        shown = one.evidence if isinstance(one, Suspicion) else " → ".join(filter(None, (one.before, one.after)))
        console.print(f"{escape(' '.join(filter(None, (one.table, one.column, one.says))))}\n  [dim]{escape(shown)}[/]")


def mark_of(look: Finding) -> Text:
    """How a finding of the doctor begins."""
    if look.is_fine:
        return Text("ok", "green")
    return Text("warning", "yellow") if look.is_warning else Text("problem", "red")


def period(release: Release) -> str:
    """Its first and last day."""
    return f"{release.manifest.launch_date} to {release.manifest.last_date}"


def size(count: int) -> str:
    """So many bytes, in MB."""
    return f"{count / 1e6:,.1f} MB"


def short(path: Path) -> str:
    """A path as one would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
