"""The versions of dim_user, against a reference that goes through one account's changes in turn."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.unit.compiled_models import Models, compile_models

CHANGES = pa.schema(
    [
        ("change_id", pa.int64()),
        ("user_id", pa.string()),
        ("change_type", pa.string()),
        ("country_code", pa.string()),
        ("acquisition_platform", pa.string()),
        ("birth_year", pa.int64()),
        ("has_marketing_consent", pa.bool_()),
        ("changed_at", pa.timestamp("us")),
        ("created_at", pa.timestamp("us")),
    ]
)
TRACKED = [
    "account_status",
    "created_at",
    "country_code",
    "acquisition_platform",
    "birth_year",
    "has_marketing_consent",
]
LAUNCH = datetime.fromisoformat("2026-01-05")

Change = dict[str, Any]
Version = dict[str, Any]


@pytest.fixture(scope="module")
def dim_user(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Change]], list[Version]]:
    """The model: what it makes of some changes, in the order of users and versions."""
    models = Models(compile_models(["dim_user"], tmp_path_factory.mktemp("scd2")))

    def versions_of(changes: list[Change]) -> list[Version]:
        models.put("stg_warehouse__account_change", changes, CHANGES)
        found = models.connection.execute(f"from ({models.sql['dim_user']}) order by user_id, version_number")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return versions_of


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def reference(changes: list[Change]) -> list[Version]:
    """The same, one change at a time."""
    versions: list[Version] = []
    in_order = sorted(changes, key=lambda change: (change["user_id"], change["changed_at"], change["change_id"]))
    for user_id, of_user in groupby(in_order, key=lambda change: change["user_id"]):
        states: dict[datetime, Change] = {}
        status = "open"
        for change in of_user:
            status = "closed" if change["change_type"] == "closed" else status
            states[change["changed_at"]] = change | {"account_status": status}
        kept: list[Change] = []
        for state in states.values():
            if not kept or any(state[name] != kept[-1][name] for name in TRACKED):
                kept.append(state)
        for number, (state, following) in enumerate(zip(kept, [*kept[1:], None], strict=True), start=1):
            versions.append(
                {name: state[name] for name in ("user_id", *TRACKED)}
                | {
                    "user_key": md5(md5(user_id) + str(state["change_id"])),
                    "valid_from": state["changed_at"],
                    "valid_to": following and following["changed_at"],
                    "is_current": following is None,
                    "version_number": number,
                    "created_date": state["created_at"].date(),
                }
            )
    return versions


# Few of each, so that values come back and moments meet; no order between them but that of their numbers.
CHANGE = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["ann", "ann", "bob"]),
        "change_type": st.sampled_from(["created", "updated", "updated", "updated", "closed"]),
        "country_code": st.sampled_from(["NA", "DE"]),
        "acquisition_platform": st.just("tv"),
        "birth_year": st.sampled_from([None, 1990]),
        "has_marketing_consent": st.booleans(),
    }
)
SECONDS_BETWEEN = st.sampled_from([0, 0, 0.001, 0.999, 3_600, 86_400, 9 * 86_400])


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """Changes of two accounts, in the order in which they were made."""
    changes: list[Change] = []
    changed_at = LAUNCH
    change_id = 8  # as text, 10 would come before it
    for change in draw(st.lists(CHANGE, min_size=1, max_size=12)):
        changed_at += timedelta(seconds=draw(SECONDS_BETWEEN))
        change_id += draw(st.sampled_from([1, 1_000_000_000]))
        changes.append(change | {"change_id": change_id, "changed_at": changed_at, "created_at": LAUNCH})
    return changes


@examples(max_examples=150, deadline=None)
@given(changes=histories(), data=st.data())
def test_versions_are_those_of_going_through_the_changes_in_turn(
    dim_user: Callable[[list[Change]], list[Version]], changes: list[Change], data: st.DataObject
) -> None:
    read_again = data.draw(st.lists(st.sampled_from(changes)))  # a landing that is read again gives the same rows
    landed = data.draw(st.permutations([*changes, *read_again]))
    assert dim_user(landed) == reference(changes)


@examples(max_examples=50, deadline=None)
@given(changes=histories(), data=st.data())
def test_what_a_build_said_of_the_past_stays_true(
    dim_user: Callable[[list[Change]], list[Version]], changes: list[Change], data: st.DataObject
) -> None:
    next_day = LAUNCH + timedelta(days=1 + data.draw(st.integers(0, (changes[-1]["changed_at"] - LAUNCH).days)))
    known_then = [version for version in dim_user(changes) if version["valid_from"] < next_day]
    for version in known_then:
        if version["valid_to"] is None or version["valid_to"] >= next_day:
            version |= {"valid_to": None, "is_current": True}
    assert dim_user([change for change in changes if change["changed_at"] < next_day]) == known_then
