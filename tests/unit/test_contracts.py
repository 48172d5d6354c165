"""The loader of event contracts refuses what it cannot trust, with a sentence that names file and remedy."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts import CONTRACTS_DIR, ContractError, load_event_contracts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's contracts, to be changed."""
    shutil.copytree(CONTRACTS_DIR / "events", tmp_path / "events")
    shutil.copy(CONTRACTS_DIR / "envelope.yml", tmp_path)
    return tmp_path


@pytest.fixture
def change(folder: Path) -> Callable[..., None]:
    """Change the contract of app_ready 2, or one of its properties."""

    def write(network_type: dict[str, Any] | None = None, **words: Any) -> None:
        path = folder / "events" / "app_ready.v2.yml"
        contract = yaml.safe_load(path.read_text())
        contract["properties"]["network_type"] |= network_type or {}
        path.write_text(yaml.safe_dump(contract | words))

    return write


def test_the_projects_contracts_load_with_their_types_and_rules() -> None:
    contracts = load_event_contracts()
    assert len(contracts.events) >= 11
    assert contracts.properties["watched_seconds"] == "number"
    (phase, _) = contracts.events["app_crash", 1].properties
    assert (phase.type, phase.required, phase.enum) == ("string", True, ("startup", "browse", "playback"))
    envelope = {field.name: field for field in contracts.envelope}
    assert envelope["received_at"].type == "timestamp"
    assert envelope["schema_version"].minimum == 1
    assert not envelope["user_id"].required


def test_the_digest_changes_with_any_contract(folder: Path, change: Callable[..., None]) -> None:
    before = load_event_contracts(folder).digest
    assert before == load_event_contracts().digest
    change(owner="somebody else")
    assert load_event_contracts(folder).digest != before


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"network_type": {"type": "text"}}, r"'text' is not one of .* at properties/network_type/type"),
        ({"network_type": {"enmu": ["wifi"]}}, "'enmu' was unexpected"),
        ({"network_type": {"enum": []}}, "at properties/network_type/enum"),
        ({"network_type": {"format": "date"}}, "at properties/network_type/format"),
        ({"network_type": {"description": ""}}, "at properties/network_type/description"),
        ({"propertys": {}}, "'propertys' was unexpected"),
        ({"version": 0}, "at version"),
        ({"event": "AppReady"}, "at event"),
        ({"version": 3}, "holds app_ready version 3: name the file after it"),
        ({"event": "app_start"}, "holds app_start version 2: name the file after it"),
        ({"required": ["bandwidth"]}, "requires bandwidth, which its properties do not list"),
    ],
)
def test_a_contract_that_breaks_the_rules_is_refused(
    changed: dict[str, Any], complaint: str, folder: Path, change: Callable[..., None]
) -> None:
    change(**changed)
    with pytest.raises(ContractError, match=complaint) as refusal:
        load_event_contracts(folder)
    assert "app_ready.v2.yml" in str(refusal.value)


def test_a_property_named_like_a_field_of_the_envelope_is_refused(folder: Path, change: Callable[..., None]) -> None:
    change(required=[], properties={"user_id": {"type": "string", "examples": ["u_1"], "description": "Whose it is."}})
    with pytest.raises(ContractError, match=r"app_ready version 2: user_id is a field of the envelope too"):
        load_event_contracts(folder)


def test_a_property_with_two_types_is_refused(folder: Path, change: Callable[..., None]) -> None:
    words = {"type": "string", "examples": ["long"], "description": "How long."}
    change(required=[], properties={"watched_seconds": words})
    with pytest.raises(ContractError, match=r"watched_seconds is a \w+ here and a \w+ in another contract. Use one"):
        load_event_contracts(folder)


@pytest.mark.parametrize("network_type", [{"examples": ["5g"]}, {"examples": [7]}])
def test_an_example_that_the_field_does_not_allow_is_refused(
    network_type: dict[str, Any], folder: Path, change: Callable[..., None]
) -> None:
    change(network_type)
    with pytest.raises(ContractError, match=r"is an example of network_type, but network_type may not be that"):
        load_event_contracts(folder)


def test_a_field_shows_an_example_or_its_values(folder: Path, change: Callable[..., None]) -> None:
    change(properties={"network_type": {"type": "string", "description": "The connection."}})
    with pytest.raises(ContractError, match="at properties/network_type"):
        load_event_contracts(folder)


def test_a_file_that_is_not_yaml_is_refused(folder: Path) -> None:
    path = folder / "events" / "app_ready.v2.yml"
    path.write_text("event: [")
    with pytest.raises(ContractError, match=r"app_ready\.v2\.yml is not YAML"):
        load_event_contracts(folder)


def test_an_empty_file_is_refused(folder: Path) -> None:
    (folder / "events" / "app_ready.v2.yml").write_text("")
    with pytest.raises(ContractError, match="at the top level"):
        load_event_contracts(folder)


def test_a_missing_required_word_is_refused(folder: Path) -> None:
    path = folder / "events" / "app_ready.v2.yml"
    path.write_text(path.read_text().replace("owner:", "# owner:"))
    with pytest.raises(ContractError, match="'owner' is a required property"):
        load_event_contracts(folder)
