"""What the first start decides, and that no later one decides it again."""

import json
import stat
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet

from liftoff.first_start import SIMULATED_DAYS, keep_database_passwords, keep_secrets
from storage.days import now
from storage.files import write_once
from storage.settings import load_settings


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def start(folder: Path) -> dict[str, str]:
    keep_secrets(folder / "ours")
    keep_database_passwords(folder / "ours", folder / "servers")
    return files_of(folder)


def test_no_secret_is_the_same_twice_or_guessable(tmp_path: Path) -> None:
    one, other = start(tmp_path / "one"), start(tmp_path / "other")
    assert one.keys() == other.keys()
    secret = one.keys() - {"ours/liftoff_launch_date"}
    assert len(secret) == 10
    assert len({one[name] for name in secret} | {other[name] for name in secret}) == 20
    passwords = [urlsplit(one[name]).password or "" for name in secret if name.endswith("_uri")]
    assert all(len(one[name]) >= 44 for name in secret - {"ours/ui_passwords.json"})
    assert [len(password) for password in passwords] == [64, 64, 64]
    assert len(json.loads(one["ours/ui_passwords.json"])["admin"]) >= 16, "96 bits, to be typed by people"


def test_a_later_start_changes_nothing(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert start(tmp_path) == first


def test_what_is_lost_is_made_anew_and_the_rest_stays(tmp_path: Path) -> None:
    first = start(tmp_path)
    (tmp_path / "ours" / "jwt_secret").unlink()
    second = start(tmp_path)
    assert {name for name in first if first[name] != second[name]} == {"ours/jwt_secret"}


def test_our_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    start(tmp_path)
    for path in (tmp_path / "ours").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_server_and_its_clients_know_the_same_password(tmp_path: Path) -> None:
    found = start(tmp_path)
    assert urlsplit(found["ours/airflow_database_uri"]).password == found["servers/postgres/password"]
    assert urlsplit(found["ours/upstream_owner_uri"]).password == found["servers/upstream/password"]
    reader = urlsplit(found["ours/liftoff_warehouse_uri"])
    assert reader.username == "liftoff_reader"
    assert reader.password not in {None, found["servers/upstream/password"]}


def test_airflow_can_use_what_was_made(tmp_path: Path) -> None:
    found = start(tmp_path)
    key = Fernet(found["ours/fernet_key"])
    assert key.decrypt(key.encrypt(b"x")) == b"x"
    assert list(json.loads(found["ours/ui_passwords.json"])) == ["admin"]


def test_the_settings_read_the_files_and_a_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = start(tmp_path)
    monkeypatch.setenv("LIFTOFF_SECRETS_DIR", str(tmp_path / "ours"))
    settings = load_settings()
    assert settings.launch_date == now().date() - timedelta(days=SIMULATED_DAYS)
    assert settings.salt() == found["ours/liftoff_secret_salt"].encode()
    monkeypatch.setenv("LIFTOFF_SECRET_SALT", "another")
    assert load_settings().salt() == b"another"


def test_two_first_starts_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    def make_while_another_wins() -> str:
        assert write_once(path, lambda: "theirs") == "theirs"
        return "ours"

    assert write_once(path, make_while_another_wins) == "theirs"
    assert [found.name for found in tmp_path.iterdir()] == ["secret"]
