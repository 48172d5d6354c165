"""The declared endpoints of third-party services: what `endpoints.yml` says, typed and checked."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from croniter import croniter  # type: ignore[import-untyped]
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from storage.errors import LiftoffError

ENDPOINTS_FILE = Path(__file__).with_name("endpoints.yml")

_ANY = "*"
_STEP = re.compile(r"\.?(\w+|\*)|\[(\d+|\*)\]")


def _cron(schedule: str) -> str:
    if not croniter.is_valid(schedule):
        raise ValueError(f"{schedule!r} is no schedule in the words of cron")
    return schedule


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Declared):
    """One landed column."""

    type: Literal["VARCHAR", "BIGINT", "DOUBLE", "DATE", "DECIMAL(18,8)"]
    path: str
    nullable: bool = False


class Endpoint(_Declared):
    """One table of a third-party service."""

    table: str
    service: Literal["world_bank", "fx"]
    path: str
    each: Mapping[str, tuple[str, ...]] = {}
    params: Mapping[str, str | int]
    paging: Literal["pages", "whole"]
    records: str
    key: tuple[str, ...]
    columns: Mapping[str, Column]
    schedule: Annotated[str, AfterValidator(_cron)]
    fresh_for_days: int
    digest: str
    """Identifies this state of all declarations: 12 hex digits over their file."""

    def paths(self, **window: Any) -> Iterator[tuple[str, str]]:
        """What to ask for, below the service's address: the word of `each` (or nothing) and the path."""
        for name, words in (self.each or {"": ("",)}).items():
            yield from ((word, self.path.format(**{name: word}, **window)) for word in words)

    def publishes_between(self, since: datetime, until: datetime) -> bool:
        """Whether the service may have news after `since` and up to `until`, by its schedule."""
        return bool(croniter(self.schedule, since).get_next(datetime) <= until)

    def rows_of(self, answer: Any) -> Iterator[dict[str, Any]]:
        """The records of an answer as it was decoded, flat: by column, as they were sent.

        What is not there, and an empty text, is None.

        Raises:
            KeyError, IndexError, TypeError: there is no such place for records in it.
        """
        paths = {name: (column.path[0], _steps(column.path)) for name, column in self.columns.items()}
        of_answer = {name: _at(answer, steps) for name, (kind, steps) in paths.items() if kind == "$"}
        of_keys = [(name, steps) for name, (kind, steps) in paths.items() if kind == "#"]
        of_record = [(name, steps) for name, (kind, steps) in paths.items() if kind not in "$#"]
        for keys, record in _walk(answer, _steps(self.records)):
            row = dict(of_answer)
            for name, (number,) in of_keys:
                row[name] = keys[number - 1]
            for name, steps in of_record:
                row[name] = _at(record, steps)
            yield row


@cache
def load_endpoints(path: Path = ENDPOINTS_FILE) -> tuple[Endpoint, ...]:
    """Read and check the declarations, in the order of the file.

    Raises:
        LiftoffError: the file says something that cannot be asked for or landed.
    """
    try:
        declared = YAML(typ="safe").load(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        endpoints = TypeAdapter(tuple[Endpoint, ...]).validate_python(
            [{"table": table, "digest": digest, **words} for table, words in declared.items()]
        )
    except (YAMLError, ValidationError) as error:
        raise LiftoffError(f"{path} cannot be used: {error}. Mend the file.") from error
    for endpoint in endpoints:
        if unknown := set(endpoint.key) - endpoint.columns.keys():
            raise LiftoffError(f"{path}: the key of {endpoint.table} names {', '.join(unknown)}, which is no column.")
        if nullable := [name for name in endpoint.key if endpoint.columns[name].nullable]:
            raise LiftoffError(f"{path}: {', '.join(nullable)} is in {endpoint.table}'s key, so it cannot be nullable.")
    return endpoints


@cache
def _steps(path: str) -> tuple[Any, ...]:
    """The keys and positions that a path goes through: `$[1][*].region.id` is `(1, "*", "region", "id")`."""
    found = (name or position for name, position in _STEP.findall(path.removeprefix("$").removeprefix("#")))
    return tuple(int(step) if step.isdigit() else step for step in found)


def _walk(node: Any, steps: tuple[Any, ...], keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What lies at `steps`, and the key or position that each * stood for."""
    if not steps:
        yield keys, node
    elif steps[0] == _ANY:
        if not isinstance(node, dict | list):
            raise TypeError(f"{node!r:.80} holds no records")
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _walk(child, steps[1:], (*keys, key))
    else:
        yield from _walk(node[steps[0]], steps[1:], keys)


def _at(node: Any, steps: tuple[Any, ...]) -> Any:
    for step in steps:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return None if node == "" else node
