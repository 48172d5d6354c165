"""Soda, known to this module alone: contracts in, verdicts out, and no way to pass by accident.

Importing Soda takes 1.4 s, so each function does it when there is something to judge.
"""

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb
from jsonschema import Draft202012Validator

from quality.contract import Contract
from quality.report import CheckOutcome, GateError

DATA_SOURCE = "liftoff"  # the first part of every contract's `dataset`

os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")  # else Soda loads our .env into the environment of this process


@dataclass(frozen=True)
class Verdict:
    """What Soda says about one check."""

    outcome: CheckOutcome
    value: float | None
    threshold: str


NO_VERDICT = Verdict("not_evaluated", None, "")


@dataclass(frozen=True)
class Verification:
    """What Soda says about one contract: a verdict by check path, and the errors on the way."""

    verdicts: Mapping[str, Verdict]
    errors: tuple[str, ...]


@cache
def contract_schema() -> Draft202012Validator:
    """The JSON schema of contracts that Soda ships and does not apply."""
    text = files("soda_core.contracts").joinpath("soda_data_contract_json_schema_1_0_0.json").read_text()
    return Draft202012Validator(json.loads(text))


def verify(connection: duckdb.DuckDBPyConnection, contracts: Sequence[Contract]) -> list[Verification]:
    """Let Soda judge the tables of `connection` by `contracts`, in one go; one result a contract, in their order.

    Raises:
        GateError: Soda broke, or its errors would not be seen.
    """
    from soda_core.common.yaml import ContractYamlSource
    from soda_core.contracts.contract_verification import ContractVerificationSession
    from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl

    with _audible():
        try:
            session = ContractVerificationSession.execute(
                [ContractYamlSource.from_str(json.dumps(contract.document)) for contract in contracts],
                data_source_impls=[DuckDBDataSourceImpl.from_existing_cursor(connection, name=DATA_SOURCE)],
            )
        except Exception as error:
            raise GateError(f"Soda could not verify the contracts: {error}") from error
    return [_verification(result) for result in session.contract_verification_results]


@contextmanager
def _audible() -> Iterator[None]:
    """Log as Soda expects, prove that its errors are caught, and put things back.

    Soda finds its errors by reading back what it logged: where that is silenced, a missing table passes. Its records
    reach nobody else meanwhile: the report says what matters of them.
    """
    from soda_core.common.logs import Logs

    logger = logging.getLogger("soda")
    level, propagate, disabled, threshold = (
        logger.level,
        logger.propagate,
        logger.disabled,
        logging.root.manager.disable,
    )
    listeners = [handler for handler in logging.root.handlers if not type(handler).__module__.startswith("soda_core.")]
    for listener in listeners:
        listener.addFilter(_not_soda)
    logging.disable(logging.NOTSET)
    logger.propagate, logger.disabled = True, False
    logger.setLevel(logging.WARNING)
    try:
        probe = Logs()
        logger.error("The gate checks that errors are seen.")
        probe.close()
        if not probe.has_errors:
            raise GateError("Soda's errors would not be seen: something filters the logger `soda`. Remove the filter.")
        yield
    finally:
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
        logging.disable(threshold)
        for listener in listeners:
            listener.removeFilter(_not_soda)


def _not_soda(record: logging.LogRecord) -> bool:
    return record.name != "soda"


def _verification(result: Any) -> Verification:
    errors = [record.getMessage() for record in result.log_records or () if record.levelno >= logging.ERROR]
    return Verification(
        verdicts={found.check.relative_path: _verdict(found) for found in result.check_results},
        errors=(*errors, *([str(result.error)] if result.error else [])),
    )


def _verdict(found: Any) -> Verdict:
    outcomes: dict[str, CheckOutcome] = {"PASSED": "passed", "WARN": "warned", "FAILED": "failed"}
    threshold = " ".join(str(found.check.threshold).split("\n")[1:]).replace(":", "")  # its first line is the level
    if found.threshold_value is None or not math.isfinite(found.threshold_value):
        return Verdict("not_evaluated", None, threshold)
    return Verdict(outcomes.get(found.outcome.name, "not_evaluated"), float(found.threshold_value), threshold)
