"""The contracts of the upstream warehouse's tables: what another team promises that we may read.

Extraction takes its columns, types, keys and what is personal from here; so do staging, quality and the simulator.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contracts import CONTRACTS_DIR, ContractError, read_checked

SOURCE = "warehouse"
"""What the lake calls the source of these tables."""

ColumnType = Literal["bigint", "varchar", "boolean", "date", "timestamp", "decimal(18,4)"]
"""The same words in DuckDB and PostgreSQL. A timestamp is UTC, without a zone."""


@dataclass(frozen=True)
class Column:
    """One column of an upstream table, and what of it lands."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = False
    enum: tuple[str, ...] = ()
    personal: Literal["hash", "year"] | None = None
    lands_as: str = ""

    @property
    def landed_name(self) -> str:
        """Its name in the lake."""
        return self.lands_as or self.name

    @property
    def landed_type(self) -> str:
        """Its SQL type in the lake."""
        return {"hash": "VARCHAR", "year": "BIGINT", None: self.type.upper()}[self.personal]


@dataclass(frozen=True)
class TableContract:
    """One upstream table."""

    table: str
    owner: str
    description: str
    key: tuple[str, ...]
    read: Literal["changes", "snapshot"]
    columns: tuple[Column, ...]
    digest: str
    """Identifies this state of the contract: 12 hex digits over its file."""
    may_be_empty: bool = False
    """A snapshot without a row is no fault."""


def load_table_contracts(folder: Path = CONTRACTS_DIR) -> Mapping[str, TableContract]:
    """Read and check `tables/*.yml` below `folder`; by table name, in alphabetical order.

    Raises:
        ContractError: a file breaks `table.schema.yml`, is named wrongly, or contradicts itself.
    """
    contracts = map(_read, sorted((folder / "tables").glob("*.yml")))
    return {contract.table: contract for contract in contracts}


def _read(path: Path) -> TableContract:
    content = read_checked(path, "table.schema.yml")
    if path.stem != content["table"]:
        raise ContractError(f"{path} holds the table {content['table']}: name the file after it.")
    columns = content["columns"]
    if unknown := {*content["key"], *(["changed_at"] if content["read"] == "changes" else [])} - columns.keys():
        raise ContractError(f"{path} needs the columns {', '.join(sorted(unknown))}, which it does not list.")
    if nullable := [name for name in content["key"] if columns[name].get("nullable")]:
        raise ContractError(f"{path}: {', '.join(nullable)} is in the key, so it cannot be nullable.")
    return TableContract(
        table=content["table"],
        owner=content["owner"],
        description=content["description"].strip(),
        key=tuple(content["key"]),
        read=content["read"],
        columns=tuple(
            Column(name, **{**words, "enum": tuple(words.get("enum", ())), "description": words["description"].strip()})
            for name, words in columns.items()
        ),
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:12],
        may_be_empty=content.get("may_be_empty", False),
    )
