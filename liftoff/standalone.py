"""The Airflow UI without Docker: all of Airflow's processes on this machine, for looking around and for development.

Beside them runs the stand-in of the third-party services, for which no network is needed.

Data, secrets and Airflow's own database lie in a folder of their own, `standalone` in the data folder.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from liftoff.cli import exit_on_error
from liftoff.first_start import ADMIN, keep_secrets
from liftoff.flow import POOL
from liftoff.headless import airflow_variables
from liftoff.simulating import missing_days, simulate_days
from simulator import api_server
from storage.errors import LiftoffError
from storage.settings import PROJECT_DIR, load_settings

BIN = Path(sys.executable).parent
AIRFLOW = str(BIN / "airflow")
COMMANDS = {
    "api-server": [AIRFLOW, "api-server"],
    # The server reads logs where they lie; it needs nobody to serve them, and on every network of the machine.
    "scheduler": [AIRFLOW, "scheduler", "--skip-serve-logs"],
    "triggerer": [AIRFLOW, "triggerer", "--skip-serve-logs"],
    "dag-processor": [AIRFLOW, "dag-processor"],
}


def variables(folder: Path, port: int) -> dict[str, str]:
    """The environment of a platform that lies in `folder`, with its UI on `port` of this machine alone."""
    secrets_dir = folder / "secrets"
    server = f"http://127.0.0.1:{port}"
    return airflow_variables(folder / "airflow") | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # Airflow starts its processes by name
        # All that says where data lies, so that no setting made for other data leads there.
        "LIFTOFF_DATA_DIR": str(folder),
        "LIFTOFF_EVENTS_DIR": str(folder / "source" / "events"),
        "LIFTOFF_WAREHOUSE_URI": str(folder / "source" / "warehouse.duckdb"),
        "LIFTOFF_LAUNCH_DATE": (secrets_dir / "liftoff_launch_date").read_text(),
        "LIFTOFF_SECRET_SALT": (secrets_dir / "liftoff_secret_salt").read_text(),
        "AIRFLOW__API__BASE_URL": server,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
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
    """Prepare the folder, then run Airflow until Ctrl-C. The folder keeps everything."""
    with exit_on_error():
        settings = load_settings()
        folder, port = settings.data_dir / "standalone", settings.ui_port
        keep_secrets(folder / "secrets")
        os.environ |= variables(folder, port)
        stand_in = _free_port()
        os.environ |= {
            name: value
            for name, value in api_server.variables(f"http://127.0.0.1:{stand_in}").items()
            if name.removeprefix("LIFTOFF_").lower() not in settings.model_fields_set  # the live ones were asked for
        }
        settings = load_settings()
        if days := missing_days(settings):
            simulate_days(settings, days)
        _airflow("db", "migrate")
        _airflow("pools", "set", POOL, "1", "Tasks that fill the memory with a database take turns")
        password = json.loads((folder / "secrets" / "ui_passwords.json").read_text())[ADMIN]
        logs = folder / "airflow" / "logs"
        print(  # noqa: T201
            f"\nIn half a minute: http://localhost:{port}  (user {ADMIN}, password {password})\n"
            "There, trigger load_window with its form left empty. Ctrl-C ends all of it, and nothing is lost.\n\n"
            f"What Airflow says:      {logs}\n"
            f"For the command line:   export LIFTOFF_DATA_DIR={folder} LIFTOFF_SECRETS_DIR={folder}/secrets \\\n"
            f"    LIFTOFF_WORLD_BANK_URL={settings.world_bank_url} LIFTOFF_FX_URL={settings.fx_url}\n"
            f"For faults to order:    {sys.executable} -m simulator.switch --url http://127.0.0.1:{stand_in} --help",
            flush=True,
        )
        _serve(logs, COMMANDS | {"third-party": [sys.executable, "-m", "simulator.api_server", f"--port={stand_in}"]})


def _airflow(*arguments: str) -> None:
    done = subprocess.run([AIRFLOW, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise LiftoffError(f"airflow {' '.join(arguments)} failed.\n{done.stderr}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _serve(logs: Path, commands: Mapping[str, Sequence[str]]) -> None:
    """Run all of Airflow and what belongs to it until Ctrl-C, SIGTERM, or the end of one of its processes.

    `airflow standalone` does the same, but told to stop it can leave its server or its triggerer behind.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background job would ignore it
        signal.signal(number, signal.default_int_handler)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            with (logs / f"{name}.log").open("ab") as log:
                running[name] = subprocess.Popen(  # noqa: S603 - each leads a group of its own, to be ended as one
                    command, stdout=log, stderr=log, start_new_session=True
                )
        while not (ended := [name for name, process in running.items() if process.poll() is not None]):
            time.sleep(1)
        raise LiftoffError(f"{ended[0]} ended by itself. {logs / ended[0]}.log says why.")
    except KeyboardInterrupt:
        print("Stopping.")  # noqa: T201
    finally:
        for process in running.values():
            _signal_group(process, signal.SIGTERM)
        for process in running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            _signal_group(process, signal.SIGKILL)  # and what it started


def _signal_group(leader: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, number)


if __name__ == "__main__":
    main()
