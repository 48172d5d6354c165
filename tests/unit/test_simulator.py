"""The simulated product: the same day always comes out the same, keeps the contracts, and tells its story."""

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts import Field, load_event_contracts
from simulator.logs import BROKEN_PLATFORM, write_day
from simulator.plan import Event, plan_day
from simulator.product import COUNTRIES, DARK_COUNTRY, DARK_FROM, DARK_UNTIL, DAY, MINUTE, PLATFORMS, Product, cohort

LAUNCH = date(2026, 1, 5)
SMALL = Product(users=300, launch_date=LAUNCH, story="full")
CONTRACTS = load_event_contracts()
PYTHON_TYPES: dict[str, Any] = {
    "string": str, "timestamp": str, "integer": int, "number": (int, float), "boolean": bool,
}  # fmt: skip
UTC_MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read(folder: Path) -> list[tuple[Path, Any]]:
    """Each line's file and event, in order; the event is None where the line breaks JSON or the envelope."""
    return [
        (path, as_event(line))
        for path in sorted(folder.rglob("*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]
    ]


def as_event(line: bytes) -> Any:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return None if faults(event, CONTRACTS.envelope) else event


def faults(values: dict[str, Any], fields: tuple[Field, ...]) -> list[str]:
    return [field.name for field in fields if not keeps(values.get(field.name), field)]


def keeps(value: Any, field: Field) -> bool:
    if value is None:
        return not field.required
    return (
        isinstance(value, PYTHON_TYPES[field.type])
        and (field.type != "timestamp" or UTC_MILLISECONDS.fullmatch(value) is not None)
        and (not field.enum or value in field.enum)
        and (field.minimum is None or value >= field.minimum)
        and (field.maximum is None or value <= field.maximum)
    )


def null_user_shares(folder: Path) -> dict[str, float]:
    events = [event for _, event in read(folder) if event]
    counts = Counter(event["platform"] for event in events)
    null = Counter(event["platform"] for event in events if event["user_id"] is None)
    return {platform: null[platform] / counts[platform] for platform in PLATFORMS}


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Any]]:
    """Everything that is received on days 0 to 21 of a product with 1,000 users."""
    folder = tmp_path_factory.mktemp("events")
    product = Product(users=1_000, launch_date=LAUNCH)
    for day in range(22):
        write_day(product, product.date_of(day), folder)
    return read(folder)


def test_a_day_is_the_same_alone_in_order_and_shuffled(tmp_path: Path) -> None:
    days = [SMALL.date_of(number) for number in range(9)]
    for order in (days, days[::-1]):
        plan_day.cache_clear()
        cohort.cache_clear()
        for day in order:
            write_day(SMALL, day, tmp_path / str(order[0]))
    plan_day.cache_clear()
    write_day(SMALL, days[8], tmp_path / "alone")
    in_order, reverse = (content(tmp_path / str(day)) for day in (days[0], days[8]))
    assert in_order == reverse
    assert len(in_order) == 9 * 24
    assert content(tmp_path / "alone").items() <= in_order.items()


def test_another_process_in_another_time_zone_writes_the_same_bytes(tmp_path: Path) -> None:
    write_day(SMALL, SMALL.date_of(3), tmp_path / "here")
    code = (
        "import sys, datetime, pathlib, simulator.logs as logs, simulator.product as product;"
        "small = product.Product(users=300, launch_date=datetime.date(2026, 1, 5), story='full');"
        "logs.write_day(small, small.date_of(3), pathlib.Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[2]
    environment = {"TZ": "Asia/Kathmandu", "PYTHONPATH": str(root), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True, env=environment)
    assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.mark.parametrize("change", [{"seed": 43}, {"users": 600}, {"story": "off"}])
def test_another_product_has_other_logs(tmp_path: Path, change: dict[str, Any]) -> None:
    write_day(SMALL, LAUNCH, tmp_path / "one")
    write_day(replace(SMALL, **change), LAUNCH, tmp_path / "other")
    assert content(tmp_path / "one") != content(tmp_path / "other")


def test_wishes_that_cannot_be_had_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no story 'none'"):
        Product(story="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="users=0"):
        Product(users=0)
    with pytest.raises(ValueError, match="before the launch"):
        write_day(SMALL, LAUNCH - timedelta(days=1), tmp_path)


def test_every_legible_line_keeps_its_contract_and_every_event_and_version_occurs(
    arrived: list[tuple[Path, Any]],
) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    sent: set[tuple[str, int, str]] = set()
    for _, event in arrived:
        contract = event and CONTRACTS.events.get((event["event_name"], event["schema_version"]))
        if contract:
            assert not faults(event["properties"], contract.properties), event
            assert event.keys() == {field.name for field in CONTRACTS.envelope} | {"properties"}
            assert event["properties"].keys() <= {field.name for field in contract.properties}
            seen[contract.event_name, contract.version] += 1
            sent |= {(contract.event_name, contract.version, name) for name in event["properties"]}
    assert seen.keys() == CONTRACTS.events.keys()
    promised = {(*key, field.name) for key, contract in CONTRACTS.events.items() for field in contract.properties}
    assert not promised - sent, f"simulator/logs.py: send {sorted(promised - sent)}, which contracts/events promise"
    assert 0.001 < 1 - seen.total() / len(arrived) < 0.002


def test_a_file_holds_one_hour_of_received_at_in_order(arrived: list[tuple[Path, Any]]) -> None:
    files: dict[Path, list[str]] = {}
    for path, event in arrived:
        if event:
            files.setdefault(path, []).append(event["received_at"])
    assert len(files) == 22 * 24
    for path, received in files.items():
        assert received == sorted(received)
        assert {moment[:13] for moment in received} == {f"{path.parent.name}T{path.name[7:9]}"}


def test_a_repeated_delivery_comes_later_with_the_same_content(arrived: list[tuple[Path, Any]]) -> None:
    first: dict[str, Any] = {}
    repeated = 0
    for _, event in arrived:
        if event and event["event_id"] in first:
            earlier = first[event["event_id"]]
            assert event["sent_at"] > earlier["sent_at"]
            assert event["received_at"] > earlier["received_at"]
            times = {"sent_at": event["sent_at"], "received_at": event["received_at"]}
            assert event == earlier | times
            repeated += 1
        elif event:
            first[event["event_id"]] = event
    assert repeated > 0.01 * len(first)


@pytest.mark.parametrize("story", ["off", "launch", "full"])
def test_the_network_is_as_bad_as_promised_in_every_story(story: Any) -> None:
    product = Product(launch_date=LAUNCH, story=story)
    counts: Counter[str] = Counter()
    for day in range(0, 60, 4):
        plan = plan_day(product, day)
        event, first = np.unique(plan.deliveries["event"], return_index=True)
        days_late = plan.deliveries["received"][first] // DAY - plan.events["occurred"][event] // DAY
        skew = plan.sessions["skew"][plan.events["session"]]
        assert plan.events["occurred"].min() >= day * DAY
        assert (plan.deliveries["received"] > plan.events["occurred"][plan.deliveries["event"]]).all()
        counts += Counter(
            events=len(plan.events),
            repeated=len(plan.deliveries) - len(event),
            late=((days_late > 0) & (days_late <= 3)).sum(),
            too_late=(days_late > 3).sum(),
            skewed=(np.abs(skew) > 5 * MINUTE).sum(),
            slightly_skewed=((skew != 0) & (np.abs(skew) < 5 * MINUTE)).sum(),
            malformed=plan.events["is_malformed"].sum(),
            lost=plan.events["is_lost"].sum(),
        )
    least = {
        "repeated": 0.01,
        "late": 0.02,
        "too_late": 0.001,
        "skewed": 0.005,
        "slightly_skewed": 0.01,
        "malformed": 0.001,
    }
    for fault, share in least.items():
        assert share <= counts[fault] / counts["events"] < 2.5 * share, fault
    assert 0.001 < counts["lost"] / counts["events"] < 0.003


@pytest.mark.parametrize("story", ["off", "launch", "full"])
@pytest.mark.parametrize("days", [range(5), range(29, 32)])
def test_clean_days_of_a_thousand_users_fill_every_hour_and_keep_their_users(
    tmp_path: Path, story: Any, days: range
) -> None:
    product = Product(users=1_000, launch_date=LAUNCH, story=story)
    shares = []
    for day in days:
        write_day(product, product.date_of(day), tmp_path / str(day))
        assert len({event["received_at"][:13] for _, event in read(tmp_path / str(day)) if event}) == 24
        shares.append(null_user_shares(tmp_path / str(day)))
    for before, after in pairwise(shares):
        assert max(after[platform] - before[platform] for platform in PLATFORMS) < 0.15


def test_a_damaged_day_forgets_users_and_half_its_hours_until_it_is_written_again(tmp_path: Path) -> None:
    write_day(SMALL, LAUNCH, tmp_path)
    whole, share = content(tmp_path), null_user_shares(tmp_path)[BROKEN_PLATFORM]
    write_day(SMALL, LAUNCH, tmp_path, damaged=True)
    assert [name[-11:-9] for name in content(tmp_path)] == [f"{hour:02}" for hour in range(12)]
    assert null_user_shares(tmp_path)[BROKEN_PLATFORM] == 1 > share + 0.2
    write_day(SMALL, LAUNCH, tmp_path)
    assert content(tmp_path) == whole


def sign_ups(product: Product, days: range) -> list[int]:
    return [int((~cohort(product, day)["is_visitor"]).sum()) for day in days]


def test_sign_ups_are_constant_without_a_story_and_spike_at_launch_with_one() -> None:
    constant = sign_ups(Product(users=6_000, story="off"), range(60))
    launch = sign_ups(Product(users=6_000, story="launch"), range(60))
    assert set(constant) <= {100, 101}
    assert launch[0] > 3 * launch[30]
    assert abs(sum(launch) - 6_000) < 60
    weeks = np.array(launch[28:56]).reshape(4, 7).mean(axis=0)
    assert weeks[5] > 1.2 * weeks[1]  # Saturday and Tuesday


def test_the_bad_release_crashes_on_android_for_three_days() -> None:
    def crash_share(day: int, platform: str) -> float:
        plan = plan_day(Product(story="full"), day)
        of = plan.sessions["platform"][plan.events["session"]] == list(PLATFORMS).index(platform)
        kinds = plan.events["kind"][of]
        return 1 - float((kinds == Event.APP_READY).sum() / (kinds == Event.APP_START).sum())

    shares = [crash_share(day, "android") for day in range(28, 36)]
    assert [share > 0.2 for share in shares] == [False, False, True, True, True, False, False, False]
    assert max(crash_share(day, "ios") for day in range(28, 36)) < 0.05


def test_the_dark_country_is_silent_for_six_hours_and_only_in_the_full_story() -> None:
    def events_in_the_dark(story: Any, code: str) -> int:
        plan = plan_day(Product(story=story), DARK_FROM // DAY)
        country = plan.sessions["country"][plan.events["session"]]
        occurred = plan.events["occurred"]
        return int(((occurred >= DARK_FROM) & (occurred < DARK_UNTIL) & (country == list(COUNTRIES).index(code))).sum())

    assert events_in_the_dark("full", DARK_COUNTRY) == 0
    assert events_in_the_dark("full", "DE") > 100
    assert events_in_the_dark("launch", DARK_COUNTRY) > 100


def test_one_experiment_lifts_returning_and_the_other_does_not() -> None:
    product = Product(users=20_000, story="full")
    users = np.concatenate([members[~members["is_visitor"]] for members in (cohort(product, day) for day in range(20))])
    sessions = np.concatenate(
        [s[~s["is_anonymous"] & (s["cohort"] < 20)] for s in (plan_day(product, day).sessions for day in range(20, 40))]
    )
    for experiment, (low, high) in enumerate([(1.2, 1.5), (0.92, 1.08)]):
        returns, sizes = (np.bincount(rows["variant"][:, experiment]) for rows in (sessions, users))
        control, treatment = returns / sizes
        assert low < treatment / control < high
