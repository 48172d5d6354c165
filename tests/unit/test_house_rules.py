"""House rules for the shape of the code. Each message names the remedy."""

import ast
import fnmatch
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quality.contract import CONTRACTS_DIR
from quality.landed import landed_contract
from storage.settings import PROJECT_DIR

# What each package may import of ours. The order is the way down: nothing imports what stands below it here.
MAY_IMPORT = {
    "dags": {"liftoff", "storage", "simulator"},
    "plugins": {"liftoff", "quality", "storage"},
    "liftoff": {"ingestion", "quality", "storage", "contracts", "simulator"},
    "ingestion": {"storage", "contracts"},
    "quality": {"storage", "contracts"},
    "simulator": {"contracts"},
    "storage": set(),
    "contracts": set(),
    "portability": set(),  # for sqlfluff alone
}
# A fork deletes the simulator, and these with it.
KNOW_THE_SIMULATOR = {"dags/demo/simulate_day.py", "liftoff/demo.py", "liftoff/simulating.py", "liftoff/standalone.py"}
FILES = sorted(path for package in MAY_IMPORT for path in (PROJECT_DIR / package).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """The top-level names of our own packages that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names & MAY_IMPORT.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT_DIR)))
def test_imports_run_downhill(path: Path) -> None:
    name = str(path.relative_to(PROJECT_DIR))
    package = name.split("/", maxsplit=1)[0]
    uphill = imports_of(path) - MAY_IMPORT[package] - {package}
    assert not uphill, f"{name} imports {', '.join(sorted(uphill))}: move what it needs down, or itself up"
    if "simulator" in imports_of(path) and package != "simulator":
        assert name in KNOW_THE_SIMULATOR, f"{name} imports the simulator, which a fork deletes"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT_DIR)))
def test_what_a_fork_deletes_is_missed_only_by_what_asks_for_it(path: Path) -> None:
    deleted = {name.removesuffix(".py").replace("/", ".") for name in KNOW_THE_SIMULATOR}
    if str(path.relative_to(PROJECT_DIR)) not in KNOW_THE_SIMULATOR:
        at_import = {
            name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            for name in (alias.name, *([node.module, f"{node.module}.{alias.name}"] if hasattr(node, "module") else []))
        }
        assert not at_import & deleted, "import it in the function that needs it"


def test_the_rules_see_the_code() -> None:
    assert len(FILES) > 25
    assert imports_of(PROJECT_DIR / "liftoff" / "intake.py") >= {"ingestion", "quality", "storage"}


def test_every_setting_is_explained_in_the_example() -> None:
    from storage.settings import Settings

    example = (PROJECT_DIR / ".env.example").read_text()
    for name in Settings.model_fields:
        assert f"LIFTOFF_{name.upper()}=" in example, f"explain LIFTOFF_{name.upper()} in .env.example"


def test_a_machine_without_a_supported_python_gets_one_sentence(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("cat", "cksum", "dirname"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    (tmp_path / "requirements").mkdir()
    for name in ("bootstrap.sh", "pyproject.toml", "requirements/dev.txt", "requirements/uv.txt"):
        shutil.copy(PROJECT_DIR / name, tmp_path / name)
    environment = {name: value for name, value in os.environ.items() if name != "LIFTOFF_PYTHON"}
    done = subprocess.run(
        ["/bin/sh", tmp_path / "bootstrap.sh"],
        env=environment | {"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Python 3.11, 3.12 or 3.13" in done.stderr


def test_the_runbook_names_checks_that_there_are() -> None:
    known = {check.name for table in ("events", "rates") for check in landed_contract(table).checks}
    for path in (CONTRACTS_DIR / "marts").glob("*.yml"):
        known |= set(re.findall(r"qualifier: (\w+)", path.read_text()))
    page = (PROJECT_DIR / "docs/runbooks/gate-blocked.md").read_text()
    named = {
        name for row in re.findall(r"^\| (`[^|]+)\|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    assert len(named) > 10
    missing = {name for name in named - {"as_accepted"} if not fnmatch.filter(known, name)}
    assert not missing, f"docs/runbooks/gate-blocked.md names {missing}, which no contract has"
