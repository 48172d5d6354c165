"""The collector's log files: one gzipped file per hour of received_at, one JSON object per line."""

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.delivery import REACH
from simulator.plan import EVENT, SESSION, Event, plan_day
from simulator.product import (
    COUNTRIES,
    DAY,
    EXPERIMENTS,
    HOUR,
    MODELS,
    PLATFORMS,
    SYSTEMS,
    VARIANTS,
    Floats,
    Ids,
    Ints,
    Product,
    Records,
)

VERSION_2_SINCE = 2  # minor version of the app from which app_ready and playback_start are sent as version 2
BROKEN_PLATFORM = "android"  # on a damaged day a broken build of it logs every user_id as null
MISSING_HOURS = range(12, 24)  # on a damaged day

_ID_NAMES = ("event_id", "session_id", "device_id", "user_id", "playback_id")
LINE = np.dtype(
    [
        *((name, EVENT[name]) for name in EVENT.names or () if name not in ("session", "order", "is_lost")),
        *((name, SESSION[name]) for name in ("country", "platform", "model", "system", "release")),
        *((name, "u8") for name in _ID_NAMES),
        ("version", "i1"),
        ("sent", "i8"),  # client clock, as is `occurred` here
        ("received", "i8"),
    ]
)

EVENT_NAMES = pa.array([event.name.lower() for event in Event])
PLATFORM_NAMES = pa.array(PLATFORMS)
MODEL_NAMES = pa.array([model for models in MODELS.values() for model in models])
SYSTEM_NAMES = pa.array([system for systems in SYSTEMS.values() for system in systems])
COUNTRY_CODES = pa.array(COUNTRIES)


def _choices(name: str, *values: str) -> list[str]:
    return [f'"{name}":"{value}"' for value in values]


# What `choice` stands for, by event. Where it is drawn, the first ones are the most frequent.
CHOICES = {
    Event.APP_START: _choices("start_type", "cold", "warm"),
    Event.APP_READY: _choices("network_type", "wifi", "cellular", "ethernet", "offline"),
    Event.APP_CRASH: [
        phase + code
        for phase in _choices("phase", "startup", "browse", "playback")
        for code in ("", *("," + code for code in _choices("error_code", "out_of_memory", "null_pointer", "timeout")))
    ],
    Event.SIGN_UP: _choices("method", "email", "google", "apple"),
    Event.PLAYBACK_START: _choices("audio_language", "en", "es", "pt", "hi", "de", "ja"),
    Event.PLAYBACK_STOP: _choices("reason", "user", "ended", "background", "error"),
    Event.EXPERIMENT_EXPOSURE: [
        f"{experiment},{variant}"
        for experiment in _choices("experiment_id", *EXPERIMENTS)
        for variant in _choices("variant_id", *VARIANTS)
    ],
}
CHOICES = {event: pa.array(texts) for event, texts in CHOICES.items()}


def write_day(product: Product, day: date, events_dir: Path, *, damaged: bool = False) -> int:
    """Write what the collector received on `day` to `events_dir`/YYYY-MM-DD/events-HH.jsonl.gz, an hour a file.

    Writing a day again gives the same bytes. A damaged day lacks the files of its second half, and one platform has
    forgotten its user_id.

    Returns:
        The number of lines written.

    Raises:
        ValueError: the day is before the launch.
    """
    number = product.day_of(day)
    lines = _received_on(product, number)
    if damaged:
        lines["user"][lines["platform"] == list(PLATFORMS).index(BROKEN_PLATFORM)] = 0
    folder = events_dir / day.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.searchsorted(lines["received"], number * DAY + HOUR * np.arange(1, 24))
    written = 0
    for hour, hourly in enumerate(np.split(lines, ends)):
        path = folder / f"events-{hour:02}.jsonl.gz"
        if damaged and hour in MISSING_HOURS:
            path.unlink(missing_ok=True)
            continue
        unfinished = path.with_suffix(".tmp")
        unfinished.write_bytes(gzip.compress(_text(product, hourly), compresslevel=1, mtime=0))
        unfinished.replace(path)
        written += len(hourly)
    return written


def _received_on(product: Product, day: int) -> Records:
    """An array of LINE for what arrives on a collector day, in the order of arrival."""
    lines = np.concatenate([_lines(product, planned, day) for planned in range(max(0, day - REACH), day + 1)])
    return lines[np.argsort(lines["received"], kind="stable")]


def _lines(product: Product, planned: int, day: int) -> Records:
    """What was planned on one day and arrives on another."""
    plan = plan_day(product, planned)
    start, end = np.searchsorted(plan.deliveries["received"], [day * DAY, (day + 1) * DAY])
    deliveries = plan.deliveries[start:end]
    event = deliveries["event"]
    events = plan.events[event]
    session = events["session"]
    sessions = plan.sessions[session]

    lines = np.zeros(len(deliveries), LINE)
    for name in LINE.names or ():
        for source in (events, sessions):
            if name in (source.dtype.names or ()):
                lines[name] = source[name]
    lines["event_id"] = plan.event_ids[event]
    lines["session_id"] = plan.session_ids[session]
    lines["device_id"] = plan.device_ids[session]
    lines["user_id"] = plan.user_ids[session, np.maximum(events["user"], 1) - 1]
    lines["playback_id"] = plan.playback_ids[event]
    second = np.isin(events["kind"], (Event.APP_READY, Event.PLAYBACK_START)) & (sessions["release"] >= VERSION_2_SINCE)
    lines["version"] = 1 + second
    lines["occurred"] = events["occurred"] + sessions["skew"]
    lines["sent"] = deliveries["sent"] + sessions["skew"]
    lines["received"] = deliveries["received"]
    return lines


def _text(product: Product, lines: Records) -> bytes:
    """The lines as the file holds them, damaged ones damaged."""
    platform = lines["platform"]
    user = _join('"u_', _hex(lines["user_id"]), '"')
    rendered = _join(
        *('{"event_id":"', _hex(lines["event_id"]), _hex(product.ids("event", lines["event_id"]))),
        *('","event_name":"', _pick(EVENT_NAMES, lines["kind"])),
        *('","schema_version":', _number(lines["version"])),
        *(',"occurred_at":"', _timestamp(product, lines["occurred"])),
        *('","sent_at":"', _timestamp(product, lines["sent"])),
        *('","received_at":"', _timestamp(product, lines["received"])),
        *('","user_id":', pc.if_else(lines["user"] > 0, user, "null")),
        *(',"device_id":"d_', _hex(lines["device_id"])),
        *('","session_id":"s_', _hex(lines["session_id"])),
        *('","platform":"', _pick(PLATFORM_NAMES, platform)),
        *('","device_model":"', _pick(MODEL_NAMES, platform * 4 + lines["model"])),
        *('","os_version":"', _pick(SYSTEM_NAMES, platform * 4 + lines["system"])),
        *('","app_version":"1.', _number(lines["release"])),
        *('.0","country_code":"', _pick(COUNTRY_CODES, lines["country"])),
        *('","properties":{', _properties(lines), "}}\n"),
    )
    return _damage(rendered, np.flatnonzero(lines["is_malformed"]))


def _properties(lines: Records) -> pa.Array:
    """What stands between the braces of `properties`, rendered kind by kind."""
    order = np.argsort(lines["kind"], kind="stable")
    ends = np.searchsorted(lines["kind"][order], np.arange(1, len(Event)))
    texts = [_properties_of(kind, lines[rows]) for kind, rows in zip(Event, np.split(order, ends), strict=True)]
    return pa.concat_arrays(texts).take(pa.array(np.argsort(order)))


def _properties_of(kind: Event, lines: Records) -> pa.Array:
    """The properties that the contracts list for one event."""
    version_2 = lines["version"] == 2
    match kind:
        case Event.APP_READY:
            return pc.if_else(version_2, _pick(CHOICES[kind], lines["choice"]), "")
        case Event.TITLE_VIEWED:
            place = _join(',"list_position":', _number(lines["list_position"]))
            return _join(_title(lines), pc.if_else(lines["list_position"] >= 0, place, ""))
        case Event.PLAYBACK_START:
            added = _join(",", _pick(CHOICES[kind], lines["choice"]), ',"startup_seconds":', _decimal(lines["seconds"]))
            return _join(_playback(lines), pc.if_else(version_2, added, ""))
        case Event.PLAYBACK_HEARTBEAT:
            return _join(_playback(lines), *_position(lines), ',"watched_seconds":', _decimal(lines["seconds"]))
        case Event.PLAYBACK_STOP:
            return _join(_playback(lines), *_position(lines), ",", _pick(CHOICES[kind], lines["choice"]))
        case _:
            return _pick(CHOICES[kind], lines["choice"])


def _title(lines: Records) -> pa.Array:
    return _join('"title_id":"title_', _number(lines["title"]), '"')


def _playback(lines: Records) -> pa.Array:
    return _join('"playback_id":"p_', _hex(lines["playback_id"]), '",', _title(lines))


def _position(lines: Records) -> tuple[str, pa.Array]:
    return ',"position_seconds":', _decimal(lines["position"])


def _join(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _pick(texts: pa.Array, numbers: Ints) -> pa.Array:
    return texts.take(pa.array(numbers))


def _number(values: Ints | Floats) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _decimal(values: Floats) -> pa.Array:
    return _number(values.astype(np.float64).round(1))


def _hex(ids: Ids) -> pa.Array:
    """16 digits each, straight into an Arrow buffer: formatting one by one would cost more than all else."""
    digits = ids.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(0, len(digits) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(digits))


def _timestamp(product: Product, moments: Ints) -> pa.Array:
    text = pa.array(np.datetime64(product.launch_date, "ms") + moments).cast(pa.string())
    return _join(pc.binary_replace_slice(text, 10, 11, "T"), "Z")


def _damage(lines: pa.Array, rows: Ints) -> bytes:
    """All lines as one text, with damage done to those in `rows`, each time another one."""
    offsets = np.frombuffer(lines.buffers()[1], np.int32)
    text = lines.buffers()[2]
    parts, done = [], 0
    for row in rows:
        start, end = offsets[row], offsets[row + 1]
        line = text[start:end].to_pybytes()
        parts += [text[done:start], _DAMAGES[row % len(_DAMAGES)](line)]
        done = end
    return b"".join([*parts, text[done : offsets[len(lines)]]])


_DAMAGES = (
    lambda line: line[: len(line) * 2 // 3] + b"\n",
    lambda line: line.replace(b'"session_id":"', b'"session_id":"\x00\x01', 1),
    lambda line: line.replace(b'"device_id":"', b'"device_id":"\xff\xfe', 1),
    lambda line: line.replace(b'"occurred_at":"', b'"occurred_at":"yesterday ', 1),
    lambda line: line.replace(b'"schema_version":', b'"schema_version":"x', 1).replace(b',"occ', b'","occ', 1),
    lambda line: line.replace(b'"event_name":"', b'"event_name":"debug_', 1),
    lambda line: line.replace(b'"device_id":', b'"device":', 1),
)
