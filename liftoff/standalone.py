"""The Airflow UI without Docker: all of Airflow's processes on this machine, for looking around and for development.

Data, secrets and Airflow's own database lie in a folder of their own, `standalone` in the data folder.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from liftoff.cli import exit_on_error, simulate_days
from liftoff.first_start import ADMIN, keep_secrets
from liftoff.flow import POOL
from liftoff.headless import airflow_variables
from simulator.source import missing_days
from storage.days import yesterday
from storage.errors import LiftoffError
from storage.settings import PROJECT_DIR, load_settings

AIRFLOW = str(Path(sys.executable).with_name("airflow"))


def variables(folder: Path, port: str) -> dict[str, str]:
    """The environment of a platform that lies in `folder`, with its UI on `port` of this machine alone."""
    secrets_dir = folder / "secrets"
    server = f"http://127.0.0.1:{port}"
    return airflow_variables(folder / "airflow") | {
        "LIFTOFF_DATA_DIR": str(folder),
        "LIFTOFF_SECRETS_DIR": str(secrets_dir),
        "AIRFLOW__API__BASE_URL": server,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__SECRET_KEY": (secrets_dir / "api_secret_key").read_text(),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": (secrets_dir / "jwt_secret").read_text(),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{server}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": (secrets_dir / "fernet_key").read_text(),
        # SQLite has one writer: at 32 tasks and a week of backfill it ended in "database is locked". Two are safe.
        "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "1",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_DIR / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secrets_dir / "ui_passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
    }


def main() -> None:
    """Prepare the folder, then become `airflow standalone`. Ctrl-C ends it; the folder keeps everything."""
    with exit_on_error():
        folder = load_settings().data_dir / "standalone"
        port = os.environ.get("LIFTOFF_UI_PORT", "8080")
        keep_secrets(folder / "secrets")
        os.environ |= variables(folder, port)
        settings = load_settings()
        if days := missing_days(settings.events_dir, settings.launch_date, yesterday()):
            simulate_days(settings, days)
        _airflow("db", "migrate")
        _airflow("pools", "set", POOL, "1", "Tasks that fill the memory with a database take turns")
    password = json.loads((folder / "secrets" / "ui_passwords.json").read_text())[ADMIN]
    print(  # noqa: T201
        f"\nIn half a minute: http://localhost:{port}  (user {ADMIN}, password {password})\n"
        "There, trigger load_window with its form left empty. Ctrl-C ends all of it, and nothing is lost.\n"
        f"For the command line: export LIFTOFF_DATA_DIR={folder} LIFTOFF_SECRETS_DIR={folder}/secrets\n",
        flush=True,
    )
    os.execv(AIRFLOW, [AIRFLOW, "standalone"])  # noqa: S606


def _airflow(*arguments: str) -> None:
    done = subprocess.run([AIRFLOW, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise LiftoffError(f"airflow {' '.join(arguments)} failed.\n{done.stderr}")


if __name__ == "__main__":
    main()
