"""Run the real DAGs in this process: no scheduler, no server, a private Airflow database that is thrown away.

Each run gets its own copy of an empty, migrated SQLite database, so runs beside each other share nothing but the lake
and the warehouse, which are made for that. What a run did is kept there, not in Airflow's history.
"""

import atexit
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from storage.days import now
from storage.errors import Blocked, LiftoffError
from storage.files import replace
from storage.settings import PROJECT_DIR, Settings

DAGS_DIR = PROJECT_DIR / "dags"


class RunFailed(LiftoffError):
    """A DAG run failed for a reason that is not one of ours; the log has the traceback."""


def run_dag(
    dag_id: str, conf: Mapping[str, Any], settings: Settings, *, on_record: Callable[[logging.LogRecord], None]
) -> Path:
    """Run `dag_id` with the form filled in as `conf`, and wait for it.

    Args:
        dag_id: a DAG of `dags/`.
        conf: its params.
        settings: where data lives.
        on_record: gets each log record of the flow, as progress.

    Returns:
        The file that holds Airflow's own output.

    Raises:
        LiftoffError: the error that stopped the run, as the flow raised it; of several, all that they say.
        RunFailed: anything else went wrong; names the log.
    """
    log_file = settings.data_dir / "logs" / f"{dag_id}-{now():%Y%m%dT%H%M%SZ}-{os.getpid()}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    errors: list[LiftoffError] = []

    def listen(record: logging.LogRecord) -> None:
        if error := getattr(record, "error", None):
            errors.append(error)
        on_record(record)

    with _output_to(log_file), _listening(listen):
        _start_airflow(settings.data_dir)
        state = _run(dag_id, conf)
    if state != "success":
        raise _together(errors) or RunFailed(f"{dag_id} ended as {state}. The traceback is in {log_file}.")
    return log_file


def _together(errors: Sequence[LiftoffError]) -> LiftoffError | None:
    """One error for all that stopped the run: several sources can fail it, each for reasons of its own."""
    if len(errors) < 2:
        return errors[0] if errors else None
    kind = Blocked if any(isinstance(error, Blocked) for error in errors) else LiftoffError
    return kind("\n\n".join(map(str, errors)))


def airflow_variables(home: Path) -> dict[str, str]:
    """The environment of an Airflow that keeps all it has, its database included, in the folder `home`."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_DIR),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


@cache
def _start_airflow(data_dir: Path) -> None:
    """Point Airflow at our DAGs and a database of its own, once a process: it reads its settings when first imported.

    Creating the tables takes three seconds, so an empty database is kept and copied.
    """
    home = Path(tempfile.mkdtemp(prefix="liftoff-airflow-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= airflow_variables(home)
    empty = data_dir / "airflow" / f"empty-{version('apache-airflow')}.db"
    if empty.exists():
        shutil.copyfile(empty, home / "airflow.db")
        return
    from airflow.utils.db import initdb

    initdb()
    empty.parent.mkdir(parents=True, exist_ok=True)
    copy = empty.with_name(f".{empty.name}.{os.getpid()}")
    with closing(sqlite3.connect(home / "airflow.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)  # whole, although Airflow has it open
    replace(copy, empty)


def _run(dag_id: str, conf: Mapping[str, Any]) -> str:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS_DIR)
    if bag.import_errors:
        reasons = (f"{path}: {text.strip().splitlines()[-1]}" for path, text in bag.import_errors.items())
        raise RunFailed("DAG files cannot be imported.\n" + "\n".join(reasons))
    dag = bag.dags[dag_id]
    for task in dag.tasks:
        task.retries = 0  # whoever started this run is watching, and would wait for minutes without a word
    dag_run = dag.test(run_conf=dict(conf), logical_date=now())
    return str(dag_run.state)


@contextmanager
def _output_to(log_file: Path) -> Iterator[None]:
    """Send all that this process prints, libraries written in C included, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log_file.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(kept, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)


@contextmanager
def _listening(listen: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            listen(record)

    handler = Handler()
    logger = logging.getLogger("liftoff")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
