"""A small launch, simulated once, and the means to run the flow on it and to compare what it published."""

import gzip
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from pydantic import TypeAdapter

from liftoff import dbt, flow
from liftoff.plan import Window
from quality.report import Report
from simulator.logs import write_day
from simulator.product import Product
from simulator.warehouse import write_days
from storage.settings import Settings, load_settings
from storage.warehouse import Release, Warehouse

LAUNCH = date(2026, 1, 5)
FIRST_AFTER_A_WEEK = "fct_payment"
"""Trials take a week: before, nobody has paid."""
FIRST_YEAR = 2015
"""A sixth of the years that the World Bank has: every installation fetches all of them."""
SERVE = """
import sys
from simulator import api_server, market

market.FIRST_YEAR = int(sys.argv.pop(1))
api_server.main()
"""
Tables = dict[str, list[tuple[Any, ...]]]
Line = dict[str, Any]
Fault = Callable[[int, Line], list[Line]]
"""What becomes of a line that came in an hour's file: none, another one, or several."""
Loaded = Callable[..., Path]
NewPlatform = Callable[[str, Path | None], "Platform"]


def day(number: int) -> date:
    """Launch day is 0."""
    return LAUNCH + timedelta(days=number)


def window(first: int, last: int) -> Window:
    """Days by number, both included."""
    return Window(day(first), day(last))


def reports(lake_dir: Path) -> dict[str, Report]:
    """What the gate has reported so far, by id, the newest last."""
    read = TypeAdapter(Report).validate_json
    return {path.stem: read(path.read_bytes()) for path in sorted((lake_dir / "reports").glob("*.json"))}


def write_short_day(product: Product, number: int, events_dir: Path) -> None:
    """A day's files with every second line: fewer people, but nothing that the gate could see."""
    write_day(product, day(number), events_dir)
    for path in (events_dir / str(day(number))).glob("*.gz"):
        lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        path.write_bytes(gzip.compress(b"".join(lines[::2])))


def rewrite_day(number: int, events_dir: Path, fault: Fault) -> None:
    """A day's files as if the source had that fault. Lines that nobody can read are left out."""
    for hour, path in enumerate(sorted((events_dir / str(day(number))).glob("*.gz"))):
        lines = []
        for raw in gzip.decompress(path.read_bytes()).splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            lines += fault(hour, line) if isinstance(line, dict) else []
        path.write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines), 1))


@dataclass(frozen=True)
class Source:
    """All that a small product leaves behind, and the services that know of the world around it."""

    product: Product
    events_dir: Path
    warehouse: Path
    services_url: str

    @property
    def settings(self) -> dict[str, str]:
        """What makes a platform read it."""
        return {
            "LIFTOFF_EVENTS_DIR": str(self.events_dir),
            "LIFTOFF_WAREHOUSE_URI": str(self.warehouse),
            "LIFTOFF_WORLD_BANK_URL": self.services_url,
            "LIFTOFF_FX_URL": self.services_url,
        }


@dataclass
class Platform:
    """One installation: its data folder, filled by the real steps of the flow."""

    data_dir: Path

    def load(self, first: int, last: int, *, allow_gap: bool = False) -> str | None:
        """Land these days, build and publish."""
        return flow.load(window(first, last), allow_gap=allow_gap)

    @property
    def warehouse(self) -> Warehouse:
        """Its releases."""
        return Warehouse(self.data_dir / "warehouse", releases_kept=load_settings().releases_kept)

    def current(self) -> Release:
        """What its readers see."""
        return self.warehouse.current()

    def tables(self) -> Tables:
        """All that the current release publishes, row by row, sorted."""
        with duckdb.connect(str(self.current().database), read_only=True) as connection:
            names = connection.execute("select table_name from duckdb_tables() where schema_name = 'main'").fetchall()
            return {name: connection.execute(f'from "{name}" order by all').fetchall() for (name,) in names}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """Thirteen days, with everything that logs can have."""
    with lived(Product(seed=11, users=2_500, launch_date=LAUNCH, story="full"), 13, tmp_path_factory) as source:
        yield source


@contextmanager
def lived(product: Product, days: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """Logs of these days, and the business that was done on them."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(days):
        write_day(product, day(number), folder / "events")
    write_days(product, [day(number) for number in range(days)], folder / "warehouse.duckdb")
    with serving_since(FIRST_YEAR) as url:
        yield Source(product, folder / "events", folder / "warehouse.duckdb", url)


@pytest.fixture(scope="session")
def loaded(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Installations to copy, each loaded once: `loaded((0, 1), (2, 2))` is the data folder of one with two builds."""

    @cache
    def load(*windows: tuple[int, int]) -> Path:
        *earlier, (first, last) = windows
        platform = Platform(tmp_path_factory.mktemp("loaded") / "data")
        if earlier:
            shutil.copytree(load(*earlier), platform.data_dir, symlinks=True)
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in {**source.settings, "LIFTOFF_DATA_DIR": str(platform.data_dir)}.items():
                patch.setenv(variable, value)
            platform.load(first, last)
        return platform.data_dir

    return load


@pytest.fixture(autouse=True, scope="session")
def parsed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new installation gets what dbt parsed in another one: the project is the same."""
    own, kept = dbt._parsed_project, tmp_path_factory.mktemp("parsed")

    def own_or_kept(settings: Settings) -> Path:
        path = own(settings)
        if path.exists():
            shutil.copyfile(path, kept / path.name)
        elif (kept / path.name).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept / path.name, path)
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt, "_parsed_project", own_or_kept)
        yield


@contextmanager
def serving_since(year: int) -> Iterator[str]:
    """The stand-in of the services, in a process of its own, with no older values than of that year."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-c", SERVE, str(year), "--port", str(port)]
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as server:
        try:
            for _ in range(200):
                with suppress(httpx.TransportError):
                    httpx.get(f"http://127.0.0.1:{port}/_faults")
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def new_platform(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewPlatform:
    """Makes an installation, empty or a copy of another one, and points the settings at it."""

    def make(name: str, copy_of: Path | None = None) -> Platform:
        data_dir = tmp_path / name
        if copy_of:
            shutil.copytree(copy_of, data_dir, symlinks=True)
        monkeypatch.setenv("LIFTOFF_DATA_DIR", str(data_dir))
        for variable, value in source.settings.items():
            monkeypatch.setenv(variable, value)
        return Platform(data_dir)

    return make


@pytest.fixture
def platform(new_platform: NewPlatform) -> Platform:
    """One empty installation."""
    return new_platform("platform", None)


def assert_same(found: Tables, expected: Tables) -> None:
    """Row by row; says which table differs first, and how."""
    assert found.keys() == expected.keys()
    assert {"fct_session", "fct_payment", "dim_user", "dim_country"} <= expected.keys()
    assert {"mart_retention_cohort", "mart_active_users_rolling", "mart_revenue_daily"} <= expected.keys()
    for name, rows in expected.items():
        assert rows or name == FIRST_AFTER_A_WEEK, f"{name} is empty: this comparison proves nothing"
        extra, missing = set(found[name]) - set(rows), set(rows) - set(found[name])
        assert found[name] == rows, f"{name}: {len(extra)} rows too many {list(extra)[:3]}, {list(missing)[:3]} missing"
