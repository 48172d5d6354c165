"""Valid lines of event logs, made from the contracts, and a landing of whatever lines a test wants."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from contracts import Field, load_event_contracts
from ingestion.events import stage_events
from storage.lake import Lake
from storage.settings import load_settings
from tests.unit.staged import Staged

DAY = date(2026, 2, 14)
CONTRACTS = load_event_contracts()
_numbers = count()


def event(name: str = "title_viewed", version: int = 1, **changes: Any) -> dict[str, Any]:
    """An event that keeps its contract, with an id of its own, but for `changes` to its envelope."""
    contract = CONTRACTS.events[name, version]
    values = {field.name: _value(field) for field in CONTRACTS.envelope}
    values |= {"event_id": f"e{next(_numbers)}", "event_name": name, "schema_version": version}
    return {**values, "properties": {field.name: _value(field) for field in contract.properties}, **changes}


def _value(field: Field) -> Any:
    if field.enum:
        return field.enum[0]
    times = {"occurred_at": "10:00:00.000Z", "sent_at": "10:00:01.000Z", "received_at": "10:00:02.000Z"}
    of_type = {"string": f"some {field.name}", "integer": 7, "number": 7.5, "boolean": True}
    return f"{DAY}T{times[field.name]}" if field.type == "timestamp" else of_type[field.type]


def line(name: str = "title_viewed", version: int = 1, **changes: Any) -> bytes:
    """One line of a log, without its line end."""
    return json.dumps(event(name, version, **changes)).encode()


def write_day(files: Mapping[str, bytes | Sequence[bytes]], day: date = DAY) -> Path:
    """Write files into the collector's folder of `day`: lines, or the content as it is. Compressed if so named."""
    folder = load_settings().events_dir / str(day)
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        content = lines if isinstance(lines, bytes) else b"".join(line + b"\n" for line in lines)
        (folder / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return folder


def stage(*lines: bytes, **files: bytes | Sequence[bytes]) -> Staged:
    """Land `lines` as one hour's file, or `files` by their name without suffix, and check that nothing was lost."""
    write_day({f"{name}.jsonl.gz": content for name, content in (files or {"events-10": lines}).items()})
    return stage_day()


def stage_day(day: date = DAY) -> Staged:
    """Land what lies in the collector's folder, and check that nothing was lost."""
    settings = load_settings()
    lake = Lake(settings.lake_dir)
    outcome = stage_events(settings, lake, day)
    accepted, quarantined = (_rows(lake.pending(outcome) / f"{name}.parquet") for name in ("data", "quarantine"))
    assert outcome.read == outcome.accepted + outcome.quarantined + outcome.duplicates
    assert outcome.read == sum(1 for line in _source_lines(settings.events_dir / str(day)) if line.strip())
    assert (outcome.accepted, outcome.quarantined) == (len(accepted), len(quarantined))
    return Staged(outcome, accepted, quarantined)


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist() if path.exists() else []
    return rows


def _source_lines(folder: Path) -> Iterator[bytes]:
    for path in folder.iterdir():
        content = path.read_bytes()
        yield from (gzip.decompress(content) if path.suffix == ".gz" else content).split(b"\n")
