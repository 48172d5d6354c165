"""The project is parsed without a build's vars and read back for the next one: both must come to the same."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from liftoff import dbt
from liftoff.dbt import DBT_PROJECT_DIR
from storage.settings import Settings

OF_A_BUILD = {
    "launch_date": "2026-03-02",
    "last_date": "2026-03-09",
    "active_definition": "opened",
    "late_arrival_days": 7,
    "read_dates": ["2026-03-04", "2026-03-05", "2026-03-06"],
    "restated_dates": ["2026-03-05"],
    "gap_dates": ["2026-03-07"],
    "landing_files": {"events.events": ["/landed/2026-03-05.parquet"]},
}
OF_THE_CONNECTION = {
    "database": "/candidate/liftoff.duckdb",
    "scratch": "/candidate/scratch.duckdb",
    "duckdb_memory_limit": "3GB",
    "duckdb_threads": 7,
    "duckdb_temp_directory": "/tmp/spilled",  # noqa: S108 - never opened
}


def parse(folder: Path, variables: dict[str, Any]) -> dict[str, Any]:
    """All that dbt knows of the project, less when and by which run it was parsed."""
    from dbt.cli.main import dbtRunner

    options = {
        "--project-dir": DBT_PROJECT_DIR,
        "--profiles-dir": DBT_PROJECT_DIR,
        "--target-path": folder,
        "--log-path": folder,
        "--log-level": "none",
        "--vars": json.dumps(variables),
    }
    words = [str(word) for option in options.items() for word in option]
    outcome = dbtRunner().invoke(["parse", "--no-partial-parse", "--no-write-json", *words])
    assert outcome.success, outcome.exception
    return {
        kind: {name: {k: v for k, v in one.items() if k != "created_at"} for name, one in known.items()}
        for kind, known in outcome.result.writable_manifest().to_dict().items()
        if isinstance(known, dict) and kind not in {"metadata", "parent_map", "child_map"}
        if all(isinstance(one, dict) for one in known.values())
    }


def test_what_dbt_parses_does_not_depend_on_what_a_build_is_about(tmp_path: Path) -> None:
    declared = yaml.safe_load((DBT_PROJECT_DIR / "dbt_project.yml").read_text())["vars"]
    assert OF_A_BUILD.keys() == declared.keys(), "let this test know the vars of dbt_project.yml"
    assert not [name for name, value in declared.items() if value == OF_A_BUILD[name]]
    alone, of_a_build = parse(tmp_path, {}), parse(tmp_path, OF_A_BUILD | OF_THE_CONNECTION)
    assert len(alone["nodes"]) > 60
    assert len(alone["macros"]) > 400
    for kind, known in alone.items():
        for name, one in known.items():
            assert of_a_build[kind].get(name) == one, (
                f"{name} is not the same for every build, but builds share what dbt parsed: use vars in SQL and in "
                "quoted hooks, not to decide on names, configs or references"
            )
    assert of_a_build == alone


@pytest.mark.usefixtures("data_dir")
def test_a_build_that_reads_back_what_was_parsed_is_about_its_own_days(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    def days_until(last_date: str) -> int:
        database = tmp_path / last_date / "liftoff.duckdb"
        database.parent.mkdir()
        only_dates = ["run", "--select", "+dim_date"]  # the rest takes 5 s and proves no more
        dbt._invoke(only_dates, settings, database, database.with_name("scratch.duckdb"), {"last_date": last_date})
        with duckdb.connect(str(database), read_only=True) as connection:
            return int(connection.execute("select count(*) from dim_date").fetchall()[0][0])

    assert days_until("2026-01-06") == 2
    (parsed,) = (settings.data_dir / "dbt").glob("parsed-*")
    before = parsed.stat()
    assert days_until("2026-01-09") == 5
    assert parsed.stat().st_ino == before.st_ino, "it was parsed again"
    assert len(list((settings.data_dir / "dbt").glob("parsed-*"))) == 1
