"""What landing event logs costs in CPU seconds, against the least that reading and writing them can cost.

    python benchmarks/ingest.py --lines 1000000 [--runs 3] [--json]

The floor is one `read_json` with explicit columns to Parquet: no checks, no repeats removed, bad lines end it.
The ways run in turn, each in a process of its own, on the same files; imports do not count. polars, pandas and dlt are
measured where they are installed (requirements/bench.txt), although none of them keeps bad lines.
"""

import gzip
import importlib
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.table import Table

from contracts import load_event_contracts
from ingestion import rules
from ingestion.events import stage_events
from ingestion.lines import count_lines, read_blocks
from storage.engine import connect
from storage.lake import Lake
from storage.settings import Settings

DAY = date(2026, 2, 14)
CONTRACTS = load_event_contracts()


def write_clean(folder: Path, lines: int) -> None:
    """24 hourly files of events that keep their contract, each id once."""
    with duckdb.connect() as connection:
        for hour in range(24):
            connection.execute(f"""
                copy (
                    with drawn as (
                        select
                            (hash(number, 0) >> 1)::bigint as draw, (hash(number, 1) >> 1)::bigint as device,
                            md5(number::varchar) as event_id,
                            timestamp '{DAY} {hour:02}:00:00'
                                + to_milliseconds((hash(number, 2) % 3600000)::bigint) as moment
                        from range({hour}, {lines}, 24) as numbers (number)
                    )
                    select
                        event_id,
                        ['app_start', 'app_ready', 'title_viewed', 'playback_start', 'playback_heartbeat',
                         'playback_heartbeat', 'playback_heartbeat', 'playback_stop'][draw % 8 + 1] as event_name,
                        if(draw % 8 in (1, 3), 2, 1) as schema_version,
                        strftime(moment, '%Y-%m-%dT%H:%M:%S.%gZ') as occurred_at,
                        strftime(moment + interval 1 second, '%Y-%m-%dT%H:%M:%S.%gZ') as sent_at,
                        strftime(moment + interval 2 second, '%Y-%m-%dT%H:%M:%S.%gZ') as received_at,
                        if(device % 5 = 0, null, 'u_' || (device % 400000)) as user_id,
                        md5((device % 500000)::varchar) as device_id,
                        md5((device % 900000)::varchar)[:16] as session_id,
                        ['android', 'ios', 'tv', 'web'][device % 4 + 1] as platform,
                        'Model ' || (device % 11) as device_model, '15.' || (device % 3) as os_version,
                        '1.2.' || (draw % 3) as app_version,
                        ['BR', 'DE', 'IN', 'NA', 'US'][device % 5 + 1] as country_code,
                        case draw % 8
                            when 0 then json_object('start_type', 'cold')
                            when 1 then json_object('network_type', 'wifi')
                            when 2 then json_object('title_id', 't_' || draw % 500, 'list_position', draw % 50)
                            when 3 then json_object(
                                'playback_id', event_id[:12], 'title_id', 't_' || draw % 500, 'audio_language', 'en',
                                'startup_seconds', (draw % 90) / 10)
                            when 7 then json_object(
                                'playback_id', event_id[:12], 'title_id', 't_' || draw % 500,
                                'position_seconds', (draw % 72000) / 10, 'reason', 'user')
                            else json_object(
                                'playback_id', event_id[:12], 'title_id', 't_' || draw % 500,
                                'position_seconds', (draw % 72000) / 10, 'watched_seconds', 300.0)
                        end as properties
                    from drawn order by moment
                ) to '{folder}/events-{hour:02}.jsonl.gz' (format json, compression gzip)
            """)


def write_repeated(clean: Path, folder: Path) -> None:
    """The clean files with one line in a hundred delivered twice."""
    for path, lines in _files_of(clean):
        repeated = [*lines, *lines[50::100]]
        (folder / path.name).write_bytes(gzip.compress(b"\n".join(repeated) + b"\n", 6))


def write_bad(clean: Path, folder: Path) -> None:
    """The clean files with one bad line in a thousand, of each kind in turn, and a last line that is cut off."""
    kinds: list[Callable[[bytes], bytes]] = [
        lambda line: line[: len(line) // 2],
        lambda line: line.replace(b"Model", b"Mod\xff"),
        lambda line: line.replace(b'"schema_version":', b'"schema_version":"x",'),
        lambda line: line.replace(b'"device_id"', b'"device"'),
        lambda line: line.replace(b'"event_name":"', b'"event_name":"debug_'),
        lambda line: line.replace(f'"occurred_at":"{DAY}'.encode(), b'"occurred_at":"2026-02-09'),
    ]
    for path, lines in _files_of(clean):
        for index, place in enumerate(range(500, len(lines), 1000)):
            lines[place] = kinds[index % len(kinds)](lines[place])
        (folder / path.name).write_bytes(gzip.compress(b"\n".join([*lines, lines[0][:99]]), 6))


def _files_of(folder: Path) -> Iterator[tuple[Path, list[bytes]]]:
    for path in sorted(folder.glob("*.gz")):
        yield path, gzip.decompress(path.read_bytes()).splitlines()


def floor(events_dir: Path, scratch: Path) -> None:
    """The least: one read, one write."""
    types = ", ".join(
        f"'{name}': '{_as_timestamp(name, kind)}'" for name, kind in rules.json_columns(CONTRACTS).items()
    )
    with connect(Settings(data_dir=scratch)) as connection:
        connection.execute(f"""
            copy (
                from read_json('{events_dir}/{DAY}/*.gz', format = 'newline_delimited', columns = {{{types}}})
            ) to '{scratch}/floor.parquet' (format parquet, compression zstd)
        """)


def _as_timestamp(name: str, kind: str) -> str:
    return "TIMESTAMPTZ" if name.endswith("_at") else kind


def line_count(events_dir: Path, _scratch: Path) -> None:
    """The independent line count by itself: decompress, and count newlines."""
    sum(count_lines(block) for path in (events_dir / str(DAY)).iterdir() for block in read_blocks(path))


def ours(events_dir: Path, scratch: Path) -> None:
    """A whole landing: types, contracts, repeats, quarantine, line count, content hash."""
    stage_events(Settings(data_dir=scratch, events_dir=events_dir), Lake(scratch / "lake"), DAY)


def with_polars(events_dir: Path, scratch: Path) -> None:
    """Read each file with the floor's types, write one Parquet file."""
    polars: Any = importlib.import_module("polars")
    kinds = {"string": polars.String, "integer": polars.Int64, "number": polars.Float64, "timestamp": polars.String}
    properties = {name: kinds[kind] for name, kind in CONTRACTS.properties.items()}
    schema = {field.name: kinds[field.type] for field in CONTRACTS.envelope} | {"properties": polars.Struct(properties)}
    frames = [
        polars.read_ndjson(gzip.decompress(path.read_bytes()), schema=schema)
        for path in sorted((events_dir / str(DAY)).iterdir())
    ]
    times = polars.col("occurred_at", "sent_at", "received_at").str.to_datetime("%+", time_zone="UTC")
    polars.concat(frames).with_columns(times).write_parquet(scratch / "polars.parquet", compression="zstd")


def with_pandas(events_dir: Path, scratch: Path) -> None:
    """Read each file, write one Parquet file."""
    pandas: Any = importlib.import_module("pandas")
    frames = [
        pandas.read_json(path, lines=True, compression="gzip") for path in sorted((events_dir / str(DAY)).iterdir())
    ]
    events = pandas.concat(frames, ignore_index=True)
    for name in ("occurred_at", "sent_at", "received_at"):
        events[name] = pandas.to_datetime(events[name], utc=True)
    events.to_parquet(scratch / "pandas.parquet", compression="zstd")


def with_dlt(events_dir: Path, scratch: Path) -> None:
    """One resource of all lines, to Parquet files."""
    dlt: Any = importlib.import_module("dlt")

    @dlt.resource(name="events", max_table_nesting=0)
    def lines() -> Iterator[list[dict[str, Any]]]:
        for path in sorted((events_dir / str(DAY)).iterdir()):
            with gzip.open(path) as handle:
                yield [json.loads(line) for line in handle]

    destination = dlt.destinations.filesystem(bucket_url=(scratch / "dlt").as_uri())
    pipeline = dlt.pipeline(
        "bench", destination=destination, dataset_name="bench", pipelines_dir=str(scratch / "state")
    )
    pipeline.run(lines(), loader_file_format="parquet")


# way: what it runs on which files, and the library that it needs
WAYS: dict[str, tuple[Callable[[Path, Path], None], str, str]] = {
    "floor": (floor, "clean", ""),
    "line count alone": (line_count, "clean", ""),
    "ours, clean files": (ours, "clean", ""),
    "ours, 1% repeats": (ours, "repeated", ""),
    "ours, 0.1% bad lines": (ours, "bad", ""),
    "polars": (with_polars, "clean", "polars"),
    "pandas": (with_pandas, "clean", "pandas"),
    "dlt": (with_dlt, "clean", "dlt"),
}


def _measure(way: str, files: Path, scratch: Path) -> dict[str, float]:
    scratch.mkdir()
    run = subprocess.run(
        [sys.executable, __file__, "--way", way, "--files", str(files), "--scratch", str(scratch)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"},
    )
    shutil.rmtree(scratch)
    result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return result


def _run(way: str, files: Path, scratch: Path) -> None:
    work, kind, library = WAYS[way]
    if library:
        importlib.import_module(library)
    before, started = sum(os.times()[:4]), time.perf_counter()
    work(files / kind, scratch)
    seconds, cpu = time.perf_counter() - started, sum(os.times()[:4]) - before
    print(
        json.dumps(
            {"cpu": cpu, "seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        )
    )


def main(
    lines: Annotated[int, typer.Option(help="Lines in the clean day.")] = 1_000_000,
    runs: Annotated[int, typer.Option(help="Runs of each way; the median counts.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,  # noqa: FBT002
    way: Annotated[str, typer.Option(hidden=True)] = "",
    files: Annotated[Path, typer.Option(hidden=True)] = Path(),
    scratch: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Measure every way that is installed."""
    if way:
        _run(way, files, scratch)
        return
    console = Console(stderr=True)
    results: dict[str, list[dict[str, float]]] = {
        name: [] for name, (_, _, library) in WAYS.items() if not library or importlib.util.find_spec(library)
    }
    with tempfile.TemporaryDirectory() as folder, console.status("Writing files"):
        root = Path(folder)
        days = {kind: root / kind / str(DAY) for kind in ("clean", "repeated", "bad")}
        for day in days.values():
            day.mkdir(parents=True)
        write_clean(days["clean"], lines)
        write_repeated(days["clean"], days["repeated"])
        write_bad(days["clean"], days["bad"])
        for turn in range(runs):
            for name, measured in results.items():
                console.log(f"run {turn + 1} of {runs}: {name}")
                measured.append(_measure(name, root, root / "scratch"))
    medians = {
        name: {key: statistics.median(run[key] for run in measured) for key in measured[0]}
        for name, measured in results.items()
    }
    for median in medians.values():
        median["ratio"] = median["cpu"] / medians["floor"]["cpu"]
    apart = medians["ours, clean files"]["ratio"] - medians["line count alone"]["ratio"]
    if as_json:
        print(json.dumps({"lines": lines, "runs": runs, "ways": medians, "ours_less_line_count": apart}, indent=1))
        return
    table = Table("way", title=f"One day of {lines:,} log lines, median of {runs}")
    for heading in ("CPU s", "ratio", "lines / CPU s", "elapsed s", "peak MB"):
        table.add_column(heading, justify="right")
    for name, median in medians.items():
        speed = f"{lines / median['cpu']:,.0f}"
        table.add_row(
            name,
            f"{median['cpu']:.2f}",
            f"{median['ratio']:.2f}",
            speed,
            f"{median['seconds']:.2f}",
            f"{median['peak_mb']:,.0f}",
        )
    table.caption = f"Ours on clean files, less what the line count alone takes: {apart:.2f}"
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
