"""The event contracts: what clients promise to send, one YAML file per event and version.

The reader takes its types and rules from here, the gate its checks, dbt its source and the tracking plan its texts.
How to add a field: docs/tracking-plan.md.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

CONTRACTS_DIR = Path(__file__).parent

FieldType = Literal["string", "integer", "number", "boolean", "timestamp"]
SQL_TYPES: dict[FieldType, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}
"""How a landed event keeps each type. Timestamps are UTC, without a zone."""


class ContractError(Exception):
    """A contract file says something that it may not. The message names file, place and remedy."""


@dataclass(frozen=True)
class Field:
    """One field of the envelope or of an event's properties. Bounds are inclusive."""

    name: str
    type: FieldType
    description: str
    required: bool = False
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    example: str | float | bool = ""


# A client's clock that is off by more is corrected. At 0 every event would be moved by the time it took to arrive. When
# this changes, events that have landed keep their time: load all days again.
SKEW_SECONDS = 5 * 60
EVENT_AT = Field(
    "event_at",
    "timestamp",
    f"When it happened, by the collector's clock where the client's is off by more than {SKEW_SECONDS // 60} minutes.",
    required=True,
)
"""The column that landed events have beside the fields that clients send."""


@dataclass(frozen=True)
class EventContract:
    """One version of one event: who sends it and which properties it carries beside the envelope."""

    event_name: str
    version: int
    owner: str
    description: str
    sent_by: str
    properties: tuple[Field, ...]


@dataclass(frozen=True)
class EventContracts:
    """All contracts of one folder, and the shape of a landed event that follows from them."""

    common: EventContract
    """The part that all events share, `envelope.yml`. Its name and version are no event's."""
    events: Mapping[tuple[str, int], EventContract]
    digest: str
    """Identifies this state of the contracts: 12 hex digits over all files."""

    @property
    def envelope(self) -> tuple[Field, ...]:
        """The fields that every event carries beside its properties."""
        return self.common.properties

    @cached_property
    def properties(self) -> dict[str, FieldType]:
        """Every property of every event, by name. A name has one type across events (checked on load)."""
        return {field.name: field.type for contract in self.events.values() for field in contract.properties}

    @cached_property
    def landed(self) -> dict[str, FieldType]:
        """The columns of a landed event: envelope, all properties, and `EVENT_AT`."""
        return {field.name: field.type for field in self.envelope} | self.properties | {EVENT_AT.name: EVENT_AT.type}


def load_event_contracts(folder: Path = CONTRACTS_DIR) -> EventContracts:
    """Read and check `envelope.yml` and `events/*.yml` below `folder`.

    Raises:
        ContractError: a file breaks `contract.schema.yml`, is named wrongly, or contradicts another file.
    """
    paths = [folder / "envelope.yml", *sorted((folder / "events").glob("*.yml"))]
    common, *contracts = map(_read_contract, paths)
    loaded = EventContracts(
        common=common,
        events={(contract.event_name, contract.version): contract for contract in contracts},
        digest=hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:12],
    )
    _refuse_contradictions(loaded)
    return loaded


def read_checked(path: Path, schema: str) -> Any:
    """What a YAML file says, if it may say so.

    Args:
        path: the file.
        schema: the name of a JSON schema in `CONTRACTS_DIR`.

    Raises:
        ContractError: it is not YAML, or breaks the schema.
    """
    try:
        content = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise ContractError(f"{path} is not YAML: {error}. Mend the file.") from error
    if broken := best_match(_schema(schema).iter_errors(content)):
        place = "/".join(map(str, broken.absolute_path)) or "the top level"
        raise ContractError(f"{path}: {broken.message}, at {place}. See contracts/{schema}.")
    return content


@cache
def _schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(YAML(typ="safe").load(CONTRACTS_DIR / name))


def _read_contract(path: Path) -> EventContract:
    content = read_checked(path, "contract.schema.yml")
    if path.parent.name == "events" and path.stem != f"{content['event']}.v{content['version']}":
        raise ContractError(f"{path} holds {content['event']} version {content['version']}: name the file after it.")
    required = set(content.get("required", ()))
    if unknown := required - content["properties"].keys():
        raise ContractError(f"{path} requires {', '.join(sorted(unknown))}, which its properties do not list.")
    return EventContract(
        event_name=content["event"],
        version=content["version"],
        owner=content["owner"],
        description=content["description"].strip(),
        sent_by=content["sent_by"],
        properties=tuple(
            _read_field(path, name, words, required=name in required) for name, words in content["properties"].items()
        ),
    )


def _read_field(path: Path, name: str, words: Mapping[str, Any], *, required: bool) -> Field:
    examples = words.get("examples", words.get("enum"))
    for example in examples:
        if not Draft202012Validator(words).is_valid(example):
            raise ContractError(
                f"{path}: {example!r} is an example of {name}, but {name} may not be that. Mend either."
            )
    return Field(
        name=name,
        type="timestamp" if words.get("format") == "date-time" else words["type"],
        description=words["description"].strip(),
        required=required,
        enum=tuple(words.get("enum", ())),
        minimum=words.get("minimum"),
        maximum=words.get("maximum"),
        example=examples[0],
    )


def _refuse_contradictions(contracts: EventContracts) -> None:
    """Landed events are one flat table, so a name must mean one thing in all contracts."""
    envelope = {field.name for field in contracts.envelope}
    for contract in contracts.events.values():
        for field in contract.properties:
            where = f"{contract.event_name} version {contract.version}: {field.name}"
            if field.name in envelope:
                raise ContractError(f"{where} is a field of the envelope too. Rename the property.")
            if field.type != contracts.properties[field.name]:
                raise ContractError(
                    f"{where} is a {field.type} here and a {contracts.properties[field.name]} in another contract. "
                    "Use one type, or another name."
                )
