"""What the first start decides and every later one keeps: the secrets, and the day of the launch. One file each.

The container platform runs it before anything else; all services read the files, none has a default for them.
"""

import base64
import json
import os
import secrets
from datetime import timedelta
from pathlib import Path

import typer

from storage.days import now
from storage.files import write_once

SIMULATED_DAYS = 60
"""The launch lies so many days back, so that the first load has this much to show."""

ADMIN = "admin"


def keep_secrets(folder: Path) -> None:
    """Make the files of `folder` that are not there yet, each readable by its owner alone."""
    write_once(folder / "liftoff_launch_date", lambda: str(now().date() - timedelta(days=SIMULATED_DAYS)))
    write_once(folder / "liftoff_secret_salt", _random)
    write_once(folder / "ui_passwords.json", lambda: json.dumps({ADMIN: secrets.token_urlsafe(12)}))
    write_once(folder / "api_secret_key", _random)
    write_once(folder / "jwt_secret", _random)
    write_once(folder / "fernet_key", lambda: base64.urlsafe_b64encode(os.urandom(32)).decode())


def keep_database_passwords(folder: Path, servers_dir: Path) -> None:
    """Make the passwords of the two database servers, and the addresses with them in, where they are not there yet.

    Args:
        folder: where our services find the addresses.
        servers_dir: has a folder for each server, which runs as another user and sees its own folder alone.
    """

    def password_of(server: str) -> str:
        path = servers_dir / server / "password"
        password = write_once(path, _random)
        path.chmod(0o644)  # the server reads it as root or as a user of its own, as its image likes it
        return password

    airflow, upstream = password_of("postgres"), password_of("upstream")
    write_once(folder / "airflow_database_uri", lambda: f"postgresql+psycopg://airflow:{airflow}@postgres/airflow")
    write_once(folder / "upstream_owner_uri", lambda: f"postgresql://upstream:{upstream}@upstream/upstream")
    write_once(folder / "liftoff_warehouse_uri", lambda: f"postgresql://liftoff_reader:{_random()}@upstream/upstream")


def _random() -> str:
    return secrets.token_urlsafe(48)  # 64 characters: a key of HS512 has 64 bytes


def main(folder: Path, servers_dir: Path) -> None:
    """Make what is not there yet, and say how to get in."""
    keep_secrets(folder)
    keep_database_passwords(folder, servers_dir)
    print(f"The product was launched on {(folder / 'liftoff_launch_date').read_text()}.")  # noqa: T201
    print("Log in as admin. The password: docker compose exec api-server cat /secrets/ui_passwords.json")  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
