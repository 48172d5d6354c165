"""Reading a contract for Soda strictly: whatever Soda would ignore is refused."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from quality.report import GateError, Severity

CONTRACTS_DIR = Path(__file__).parent / "contracts"

VARIABLE = re.compile(r"\$\{var\.(\w+)\}")


@dataclass(frozen=True)
class Check:
    """One declared check."""

    path: str
    """As Soda names its result: `columns.platform.checks.invalid`, `checks.failed_rows.hours_present`."""
    kind: str
    name: str
    rule: str
    """What must hold, as a sentence without its full stop."""
    severity: Severity
    """The level of its threshold; without one, `fail`."""
    query: str | None
    """Selects the rows that break the rule, variables filled in; None for checks that count for themselves."""


@dataclass(frozen=True)
class Contract:
    """One table's contract, variables filled in."""

    table: str
    owner: str
    """The team that looks when a check does not pass."""
    columns: Mapping[str, str]
    """Type by name, as DuckDB writes it."""
    allow_extra_columns: bool
    checks: tuple[Check, ...]
    document: Mapping[str, Any]
    """What Soda is given."""


def read_contract(path: Path, variables: Mapping[str, str], soda_schema: Draft202012Validator) -> Contract:
    """Read and check the contract at `path`; `${var.name}` becomes `variables[name]`, as it is.

    Raises:
        GateError: the file is not YAML, is not named after its table, or says what `contract_of` refuses.
    """
    contract = contract_of(read_yaml(path), path, variables, soda_schema)
    if path.stem != contract.table:
        raise GateError(f"The contract {path} is about {contract.table}: name the file after it.")
    return contract


def read_yaml(path: Path) -> Any:
    """What a file says.

    Raises:
        GateError: it is not there, or not YAML.
    """
    try:
        # refuses a repeated key, of which PyYAML would silently drop the first
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError) as error:
        raise GateError(f"The contract {path} cannot be read: {error}. Mend the file.") from error


def contract_of(declared: Any, path: Path, variables: Mapping[str, str], soda_schema: Draft202012Validator) -> Contract:
    """Check what a contract declares; `path` is the file that errors name.

    Raises:
        GateError: it says something that `contract.schema.yml` or Soda's own schema does not know, uses a variable that
            it does not declare, or declares one that it does not use or is not given.
    """
    _validate(declared, path, _our_schema())
    _validate(_for_soda(declared), path, soda_schema)
    return _contract(path, _fill_in(path, declared, variables))


def _validate(declared: Any, path: Path, schema: Draft202012Validator) -> None:
    if broken := best_match(schema.iter_errors(declared)):
        place = "/".join(map(str, broken.absolute_path)) or "the top level"
        raise GateError(f"The contract {path}: {_complaint(broken)}, at {place}. See contract.schema.yml.")


@cache
def _our_schema() -> Draft202012Validator:
    return Draft202012Validator(yaml.safe_load((CONTRACTS_DIR / "contract.schema.yml").read_text(encoding="utf-8")))


def _complaint(error: ValidationError) -> str:
    """Our schema explains in a description what the validator's words leave open."""
    own_words = error.schema.get("description") if isinstance(error.schema, dict) else None
    return own_words if own_words and error.validator in {"contains", "oneOf"} else error.message


def _fill_in(path: Path, declared: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Soda leaves a variable that it does not know as it stands, and fills in environment variables: neither here."""
    text = json.dumps(declared)
    names, used = declared.get("variables", {}).keys(), set(VARIABLE.findall(text))
    for wrong, complaint in (
        (used - names, "uses but does not declare"),
        (names - used, "declares but does not use"),
        (names - variables.keys(), "was not given"),
    ):
        if wrong:
            raise GateError(f"The contract {path} {complaint} the variable {', '.join(sorted(wrong))}.")
    text = VARIABLE.sub(lambda match: json.dumps(variables[match[1]])[1:-1], text)
    if "${" in text:
        raise GateError(f"The contract {path} holds a ${{...}} that is not ${{var.name}}. Write it that way.")
    document: dict[str, Any] = json.loads(text)
    return document


def _contract(path: Path, document: Mapping[str, Any]) -> Contract:
    checks = [
        _column_check(column["name"], check) for column in document["columns"] for check in column.get("checks", ())
    ]
    checks += [_table_check(check) for check in document["checks"]]
    paths = [check.path for check in checks]
    if repeated := {path for path in paths if paths.count(path) > 1}:
        raise GateError(f"The contract {path} has {', '.join(sorted(repeated))} twice; give each its own qualifier.")
    schema = next(check["schema"] for check in document["checks"] if "schema" in check)
    return Contract(
        table=document["dataset"].rpartition("/")[2],
        owner=document["owner"],
        columns={column["name"]: column["data_type"] for column in document["columns"]},
        allow_extra_columns=schema.get("allow_extra_columns", False),
        checks=tuple(checks),
        document=_for_soda(document),
    )


def _for_soda(document: Mapping[str, Any]) -> dict[str, Any]:
    """Soda knows decimals by their name alone, and no notes. Digits are for the gate's own comparison of types."""
    columns = [column | {"data_type": column["data_type"].partition("(")[0]} for column in document["columns"]]
    checks = [
        {kind: words | {"threshold": words["threshold"] | {"level": "warn"}} if _severity(words) == "note" else words}
        for check in document["checks"]
        for kind, words in check.items()
    ]
    kept = {key: value for key, value in document.items() if key not in {"owner", "variables"}}
    return kept | {"columns": columns, "checks": checks}


def _severity(words: Mapping[str, Any] | None) -> Severity:
    severity: Severity = (words or {}).get("threshold", {}).get("level", "fail")
    return severity


def _column_check(column: str, declared: Mapping[str, Any]) -> Check:
    ((kind, words),) = declared.items()
    rule = {
        "missing": f"{column} is always there",
        "duplicate": f"{column} is never repeated",
        "invalid": f"{column} is {_bounds(words)}" if kind == "invalid" else "",
    }[kind]
    return Check(f"columns.{column}.checks.{kind}", kind, f"{column}_{kind}", rule, "fail", query=None)


def _bounds(words: Mapping[str, Any]) -> str:
    """The values that are allowed, for people: `at least 1 and at most 12`, `one of android, ios`."""
    said = {"valid_min": "at least", "valid_max": "at most", "valid_values": "one of"}
    shown = {word: ", ".join(map(str, value)) if isinstance(value, list) else value for word, value in words.items()}
    return " and ".join(f"{said[word]} {value}" for word, value in shown.items())


def _table_check(declared: Mapping[str, Any]) -> Check:
    ((kind, words),) = declared.items()
    if kind in {"failed_rows", "metric"}:
        query = words["query"] if kind == "failed_rows" else None
        path = f"checks.{kind}.{words['qualifier']}"
        return Check(path, kind, words["qualifier"], words["name"], _severity(words), query)
    rule = {
        "schema": "Columns and types are those of the contract",
        "row_count": "There are rows",
        "duplicate": f"{', '.join(words['columns'])} are never repeated together" if kind == "duplicate" else "",
    }[kind]
    return Check(f"checks.{kind}", kind, kind, rule, "fail", query=None)
