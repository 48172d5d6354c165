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


@pytest.fixture(scope="module")
def server(dag_bag: Any) -> Iterator[Any]:
    """A client of Airflow's API server, which has loaded the folder `plugins`; not logged in."""
    assert dag_bag.dags, "Airflow's environment is the one that this fixture makes"
    from airflow import plugins_manager, settings
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.models.revoked_token import RevokedToken
    from fastapi.testclient import TestClient

    caches = (plugins_manager._get_plugins, plugins_manager._get_ui_plugins, plugins_manager.get_fastapi_plugins)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "of this test alone" * 4)
        patch.setattr(settings, "PLUGINS_FOLDER", str(PROJECT_DIR / "plugins"))
        for cached in caches:
            cached.cache_clear()
        RevokedToken.__table__.create(settings.engine, checkfirst=True)  # all that a login needs of the database
        yield TestClient(create_app("core"), follow_redirects=False)
    purge_cached_app()
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def token(server: Any) -> str:
    """Someone who may only look."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    assert server
    return str(get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="on-call", role="VIEWER")))


@pytest.fixture
def login(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
