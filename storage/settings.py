"""Everything that can be set, in one class: environment variables `LIFTOFF_*`, else a file `.env`, else secret files.

A secret file is named after its variable, in small letters, and lies in the folder LIFTOFF_SECRETS_DIR.
"""

import os
import secrets
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.errors import LiftoffError
from storage.files import write_once

PROJECT_DIR = Path(__file__).parent.parent


class Settings(BaseSettings):
    """Where data lives and which rules hold. `.env.example` explains each setting."""

    model_config = SettingsConfigDict(
        env_prefix="LIFTOFF_", env_file=PROJECT_DIR / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = PROJECT_DIR / "data"
    events_dir: Path = Path()  # set below when it is not given: it lies under data_dir
    warehouse_uri: SecretStr = SecretStr("")  # likewise; may hold a password
    launch_date: date = date(2026, 1, 5)
    # How many days after its event day a log line may arrive and still count. Of the demo's lines 97.2% arrive on
    # their day, 99.1% within one more, 99.6% within 2, 99.8% within 3. Each day more makes a daily build restate one
    # day more; each day less sends its share to quarantine as too_late. A build refuses landings that were made under
    # another value: after raising it, replay what was refused; after lowering it, or moving the launch date, load every
    # day again.
    late_arrival_days: Annotated[int, Field(ge=0, le=30)] = 3
    active_definition: Annotated[str, Field(pattern="^(used|opened)$")] = "used"
    releases_kept: Annotated[int, Field(ge=2)] = 5  # of one alone, another build would remove what a build starts from
    rejected_days_kept: Annotated[int, Field(ge=1)] = 30
    secret_salt: SecretStr = SecretStr("")  # made on first use and kept under data_dir when it is not given
    world_bank_url: str = "https://api.worldbank.org"
    fx_url: str = "https://api.frankfurter.dev"
    alert_webhook: SecretStr = SecretStr("")
    ui_port: int = 8080
    duckdb_memory_limit: str = "1GB"
    duckdb_threads: Annotated[int, Field(ge=1)] = 2

    @model_validator(mode="before")
    @classmethod
    def _complete_paths(cls, values: dict[str, Any]) -> dict[str, Any]:
        data_dir = Path(values.get("data_dir", PROJECT_DIR / "data")).absolute()
        events_dir = Path(values.get("events_dir", data_dir / "source" / "events")).absolute()
        warehouse_uri = values.get("warehouse_uri") or str(data_dir / "source" / "warehouse.duckdb")
        return {**values, "data_dir": data_dir, "events_dir": events_dir, "warehouse_uri": warehouse_uri}

    @property
    def lake_dir(self) -> Path:
        """Landings, and all that belongs to them."""
        return self.data_dir / "lake"

    @property
    def warehouse_dir(self) -> Path:
        """Releases, and the candidates that may become one."""
        return self.data_dir / "warehouse"

    @property
    def event_rules(self) -> str:
        """The settings that decide which events land, in words. A build mixes no landings of different rules."""
        return self._event_rules(self.late_arrival_days)

    @property
    def service_rules(self) -> str:
        """The same of third-party data."""
        return f"launch date {self.launch_date}"

    def widens(self, rules: str) -> bool:
        """Whether every event that landed under those `event_rules`, and maybe more, lands under the present ones."""
        return any(rules == self._event_rules(days) for days in range(self.late_arrival_days))

    def _event_rules(self, late_arrival_days: int) -> str:
        return f"launch date {self.launch_date}, at most {late_arrival_days} days late"

    def salt(self) -> bytes:
        """The key under which personal identifiers are hashed; made once, readable by the owner alone."""
        if given := self.secret_salt.get_secret_value():
            return given.encode()
        return write_once(self.data_dir / "secret_salt", lambda: secrets.token_hex(32)).encode()


def load_settings() -> Settings:
    """Read the settings afresh.

    Raises:
        LiftoffError: a variable has a value that it may not have; the message names it.
    """
    try:
        return Settings(_secrets_dir=os.environ.get("LIFTOFF_SECRETS_DIR"))
    except ValidationError as error:
        problems = "\n".join(
            f"  LIFTOFF_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}, got {problem['input']!r}"
            for problem in error.errors()
        )
        raise LiftoffError(f"The settings cannot be used:\n{problems}\nSee .env.example.") from None
