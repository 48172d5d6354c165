"""One stack for all tests of this folder, made from nothing and taken away again, and what the tests leave behind."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from storage.settings import PROJECT_DIR
from tests.compose.browser import Ui, browsing, find_chromium
from tests.compose.stack import Airflow, Stack

REPORT_DIR = PROJECT_DIR / "data" / "compose"
FIRST_FAILURE = pytest.StashKey[str]()
REMEDY = "`.ci/engine` installs what is missing on Debian."

Figures = dict[str, float | str]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember the step that failed first: the later ones build on it."""
    report = yield
    if report.failed:
        item.session.stash.setdefault(FIRST_FAILURE, item.name)
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say at once why a later step cannot be made."""
    if failed := item.session.stash.get(FIRST_FAILURE, None):
        pytest.fail(f"Not tried: it builds on {failed}, which failed.", pytrace=False)


@pytest.fixture(scope="session")
def report_dir() -> Path:
    """Where figures and pictures stay; empty at first."""
    shutil.rmtree(REPORT_DIR, ignore_errors=True)
    REPORT_DIR.mkdir(parents=True)
    return REPORT_DIR


@pytest.fixture(scope="session")
def figures(report_dir: Path) -> Iterator[Figures]:
    """What was measured, kept as a file. A name ends with its unit."""
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, cwd=PROJECT_DIR, capture_output=True, text=True, check=False).stdout.strip()
    measured: Figures = {"date": str(datetime.now(UTC).date()), "commit": commit, "cores": str(os.cpu_count())}
    yield measured
    rounded = {name: round(value, 1) if isinstance(value, float) else value for name, value in measured.items()}
    (report_dir / "figures.json").write_text(json.dumps(rounded, indent=1) + "\n")


@pytest.fixture(scope="session")
def today() -> date:
    """The day of the whole session. The first steps would count its days wrongly if midnight came between them."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    if midnight - now < timedelta(minutes=10):
        time.sleep((midnight - now).total_seconds())
    return datetime.now(UTC).date()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, report_dir: Path) -> Iterator[Stack]:
    """The platform, not built and not started. Afterwards nothing is left of it but, of a failure, its logs."""
    _require("info", "No Docker engine answers.")
    _require("compose version", "Docker Compose v2 is missing.")
    if not find_chromium():
        pytest.fail(f"There is no Chromium to look at the UI with. {REMEDY}", pytrace=False)
    stack = Stack()
    stack.remove()
    yield stack
    if request.session.testsfailed:
        (report_dir / "compose.log").write_text(stack.compose("logs", "--no-color", "--timestamps", check=False))
    stack.remove()


@pytest.fixture
def airflow(stack: Stack) -> Airflow:
    """Its REST interface, after login."""
    return Airflow.log_in(stack.url, stack.password())


@pytest.fixture
def ui(stack: Stack, report_dir: Path) -> Iterator[Ui]:
    """Its UI in a browser, after login through the form."""
    with browsing(stack.url, report_dir) as ui:
        ui.log_in(stack.password())
        yield ui


def _require(command: str, problem: str) -> None:
    try:
        done = subprocess.run(["docker", *command.split()], capture_output=True, text=True, timeout=60, check=False)
        reason = done.stderr if done.returncode else ""
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.fail(f"{problem} {REMEDY}\n{reason.strip()}", pytrace=False)
