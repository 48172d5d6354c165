"""Whether this machine, the settings, the sources and what is stored are in order; each problem with its remedy."""

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import duckdb
import httpx

from contracts import ContractError, load_event_contracts
from ingestion.landing import SourceError
from storage.engine import connect
from storage.lake import Lake, LandingInterrupted
from storage.settings import Settings, load_settings
from storage.warehouse import NoRelease, ReleaseDamaged, Warehouse

PACKAGES = ("apache-airflow", "dbt-core", "dbt-duckdb", "duckdb", "metricflow", "soda-core")
PATIENCE_SECONDS = 3
DISK_WANTED_GB = 2  # the demo takes about 0.5 GB, five releases of it included


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy` is empty when it is fine."""

    what: str
    found: str
    remedy: str = ""
    is_warning: bool = False
    """The platform can go on for some days as it is."""

    @property
    def is_fine(self) -> bool:
        """Nothing to do."""
        return not self.remedy


def examine() -> list[Finding]:
    """Look at everything once. Changes nothing.

    Raises:
        LiftoffError: the settings cannot be read, so there is nothing to look at.
    """
    settings = load_settings()
    looks: list[Callable[[Settings], Finding]] = [
        _python,
        _packages,
        _data_dir,
        _disk,
        _engine,
        _contracts,
        _source,
        _warehouse,
        _world_bank,
        _exchange_rates,
        _lake,
        _release,
        _alerts,
    ]
    return [look(settings) for look in looks]


def _python(_: Settings) -> Finding:
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding(
        "Python", platform.python_version(), "" if fine else "Use Python 3.11, 3.12 or 3.13: make clean demo"
    )


def _packages(_: Settings) -> Finding:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            return Finding("Packages", f"{package} is not installed", "Install the locked set: make setup")
    return Finding("Packages", ", ".join(f"{package} {number}" for package, number in found.items()))


def _data_dir(settings: Settings) -> Finding:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.data_dir):
            return Finding("Data folder", str(settings.data_dir))
    except OSError as error:
        return Finding(
            "Data folder", f"{settings.data_dir}: {error.strerror}", "Make it writable, or set LIFTOFF_DATA_DIR"
        )


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data_dir if settings.data_dir.exists() else "/").free / 1e9
    remedy = "" if free >= DISK_WANTED_GB else f"Free {DISK_WANTED_GB} GB, or set LIFTOFF_DATA_DIR to another disk"
    return Finding("Disk", f"{free:,.0f} GB free", remedy)


def _engine(settings: Settings) -> Finding:
    try:
        with connect(settings) as connection:
            zone = connection.execute("select current_setting('TimeZone')").fetchall()[0][0]
    except duckdb.Error as error:
        return Finding(
            "DuckDB", str(error).splitlines()[0], "Check LIFTOFF_DUCKDB_MEMORY_LIMIT and LIFTOFF_DUCKDB_THREADS"
        )
    limits = f"{settings.duckdb_memory_limit}, {settings.duckdb_threads} threads"
    return Finding("DuckDB", f"{duckdb.__version__}, {zone}, {limits}")


def _contracts(_: Settings) -> Finding:
    try:
        contracts = load_event_contracts()
    except ContractError as error:
        return Finding("Event contracts", "cannot be used", str(error))
    return Finding("Event contracts", f"{len(contracts.events)} event versions, state {contracts.digest}")


def _source(settings: Settings) -> Finding:
    days = sorted(path.name for path in settings.events_dir.glob("*") if path.is_dir())
    if not days:
        return Finding("Log source", "no files", "Simulate some days (liftoff simulate), or set LIFTOFF_EVENTS_DIR")
    return Finding("Log source", f"{len(days)} days, {days[0]} to {days[-1]}")


def _warehouse(settings: Settings) -> Finding:
    from ingestion.upstream import open_upstream

    try:
        with open_upstream(settings.warehouse_uri) as upstream:
            return Finding("Upstream warehouse", f"{upstream.name} shows {len(upstream.columns())} tables")
    except SourceError as error:
        return Finding("Upstream warehouse", "cannot be read", str(error))


def _world_bank(settings: Settings) -> Finding:
    return _service("World Bank", "LIFTOFF_WORLD_BANK_URL", settings.world_bank_url, "/v2/country?format=json")


def _exchange_rates(settings: Settings) -> Finding:
    return _service("Exchange rates", "LIFTOFF_FX_URL", settings.fx_url, "/v1/currencies")


def _service(what: str, variable: str, address: str, question: str) -> Finding:
    """Loads go on without a service, with what it said last; for how long, `ingestion/endpoints.yml` says."""
    try:
        found = f"status {httpx.get(address.rstrip('/') + question, timeout=PATIENCE_SECONDS).status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found = f"{type(error).__name__} {error}".strip()
    if found == "status 200":
        return Finding(what, f"{address} answers")
    remedy = f"Check the network and {variable}. Until it answers, loads use what it said last, for some days"
    return Finding(what, f"{address}: {found}", remedy, is_warning=True)


def _lake(settings: Settings) -> Finding:
    lake = Lake(settings.lake_dir)
    try:
        with lake.locked():
            landed = [partition.day for partition in lake.partitions("events", "events")]
    except LandingInterrupted as error:
        return Finding("Lake", "an interrupted landing", str(error))
    return Finding("Lake", f"{len(landed)} days, {landed[0]} to {landed[-1]}" if landed else "nothing has landed yet")


def _release(settings: Settings) -> Finding:
    warehouse = Warehouse(settings.warehouse_dir, releases_kept=settings.releases_kept)
    try:
        release = warehouse.current()
    except NoRelease as error:
        return Finding("Release", "none yet") if not warehouse.releases() else Finding("Release", "none", str(error))
    if not release.is_intact():
        return Finding("Release", "damaged", str(ReleaseDamaged(release.id)))
    return Finding("Release", f"{release.id}, to {release.manifest.last_date}, unchanged since it was published")


def _alerts(settings: Settings) -> Finding:
    from liftoff.alerts import receiver_kind

    address = settings.alert_webhook.get_secret_value()
    if not address:
        return Finding("Alerts", "none: LIFTOFF_ALERT_WEBHOOK is empty")
    if kind := receiver_kind(address):
        return Finding("Alerts", f"go to {kind}")
    return Finding("Alerts", "go nowhere", "LIFTOFF_ALERT_WEBHOOK is no address of a receiver: see .env.example", True)
