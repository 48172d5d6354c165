"""The contracts of the upstream warehouse's tables: what another team promises that we may read.

Extraction takes its columns, types, keys and what is personal from here; so do staging, quality and the simulator.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from contracts import CONTRACTS_DIR, ContractError

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


def load_table_contracts(folder: Path = CONTRACTS_DIR) -> Mapping[str, TableContract]:
    """Read and check `tables/*.yml` below `folder`; by table name, in alphabetical order.

    Raises:
        ContractError: a file breaks `table.schema.yml`, is named wrongly, or contradicts itself.
    """
    schema = Draft202012Validator(YAML(typ="safe").load(CONTRACTS_DIR / "table.schema.yml"))
    contracts = [_read(path, schema) for path in sorted((folder / "tables").glob("*.yml"))]
    return {contract.table: contract for contract in contracts}


def _read(path: Path, schema: Draft202012Validator) -> TableContract:
    try:
        content = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise ContractError(f"{path} is not YAML: {error}. Mend the file.") from error
    if broken := best_match(schema.iter_errors(content)):
        place = "/".join(map(str, broken.absolute_path)) or "the top level"
        raise ContractError(f"{path}: {broken.message}, at {place}. See contracts/table.schema.yml.")
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
    )
