"""Every test has a data folder of its own, and nothing of the developer's environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.settings import Settings

pytest.register_assert_rewrite("tests.launch")
Settings.model_config["env_file"] = None


@pytest.fixture(autouse=True, scope="session")
def _no_data_in_the_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of a wider scope than one test write goes elsewhere too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFTOFF_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh LIFTOFF_DATA_DIR, third-party services that nobody answers for, and no other setting."""
    for name in [name for name in os.environ if name.startswith("LIFTOFF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(tmp_path / "data"))
    for service in ("WORLD_BANK", "FX"):
        monkeypatch.setenv(f"LIFTOFF_{service}_URL", "http://127.0.0.1:9")
    return tmp_path / "data"
