"""The loader of the upstream tables' contracts refuses what it cannot trust; what is personal lands in disguise."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts import CONTRACTS_DIR, ContractError
from contracts.tables import load_table_contracts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's contracts, to be changed."""
    shutil.copytree(CONTRACTS_DIR / "tables", tmp_path / "tables")
    return tmp_path


@pytest.fixture
def change(folder: Path) -> Callable[..., None]:
    """Change the contract of account_changes, or its column e-mail."""

    def write(email: dict[str, Any] | None = None, **words: Any) -> None:
        path = folder / "tables" / "account_changes.yml"
        contract = yaml.safe_load(path.read_text()) | words
        contract["columns"].get("email", {}).update(email or {})
        path.write_text(yaml.safe_dump(contract))

    return write


def test_what_is_personal_lands_hashed_or_coarsened_under_another_name() -> None:
    contracts = load_table_contracts()
    assert len(contracts) == 7
    personal = {
        column.name: (column.landed_name, column.landed_type)
        for contract in contracts.values()
        for column in contract.columns
        if column.personal
    }
    assert personal == {
        "email": ("email_hash", "VARCHAR"),
        "full_name": ("full_name_hash", "VARCHAR"),
        "birth_date": ("birth_year", "BIGINT"),
    }


def test_the_digest_changes_with_the_contract(folder: Path, change: Callable[..., None]) -> None:
    before = load_table_contracts(folder)
    change(owner="somebody else")
    after = load_table_contracts(folder)
    assert {table for table in before if before[table].digest != after[table].digest} == {"account_changes"}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"email": {"type": "text"}}, "'text' is not one of .* at columns/email/type"),
        ({"email": {"nulable": True}}, "'nulable' was unexpected"),
        ({"email": {"personal": "keep"}}, "at columns/email/personal"),
        ({"read": "deltas"}, "at read"),
        ({"table": "accounts"}, "name the file after it"),
        ({"key": ["account_id"]}, "needs the columns account_id"),
        ({"key": ["birth_date"]}, "birth_date is in the key, so it cannot be nullable"),
        ({"columns": {"change_id": {"type": "bigint", "description": "The key."}}}, "not have enough properties"),
    ],
)
def test_what_a_contract_may_not_say_is_refused_with_its_place(
    folder: Path, change: Callable[..., None], changed: dict[str, Any], complaint: str
) -> None:
    change(**changed)
    with pytest.raises(ContractError, match=complaint) as refused:
        load_table_contracts(folder)
    assert "account_changes.yml" in str(refused.value)


def test_a_table_of_changes_needs_the_moment_of_the_change(folder: Path) -> None:
    path = folder / "tables" / "payments.yml"
    contract = yaml.safe_load(path.read_text())
    del contract["columns"]["changed_at"]
    path.write_text(yaml.safe_dump(contract))
    with pytest.raises(ContractError, match="needs the columns changed_at"):
        load_table_contracts(folder)


def test_personal_data_without_a_name_to_land_under_is_refused(folder: Path) -> None:
    path = folder / "tables" / "account_changes.yml"
    contract = yaml.safe_load(path.read_text())
    del contract["columns"]["email"]["lands_as"]
    path.write_text(yaml.safe_dump(contract))
    with pytest.raises(ContractError, match="lands_as"):
        load_table_contracts(folder)
