"""Airflow on a private, empty SQLite database. It reads its environment when it is first imported: here."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from storage.settings import PROJECT_DIR


@pytest.fixture(scope="session")
def dag_bag() -> Iterator[Any]:
    """All DAGs of `dags/`."""
    with tempfile.TemporaryDirectory(prefix="liftoff-dag-tests-") as home:
        os.environ |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_DIR / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        }
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(PROJECT_DIR / "dags")
        assert not bag.import_errors, "\n".join(bag.import_errors.values())
        yield bag
