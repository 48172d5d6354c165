"""The semantic layer says what the marts say, on every day, and leaves the release as it is."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from liftoff import building, intake
from liftoff.dbt import write_docs
from liftoff.metrics import Question, SemanticLayer
from storage.engine import connect
from storage.errors import WrongUsage
from storage.files import sha256
from storage.settings import load_settings
from storage.warehouse import Release
from tests.launch import Platform, Source, day, window

GAP = 10
LAST = 12

ROLLING = "select activity_date, active_users from mart_active_users_rolling where segment_type = 'total' and"
STABILITY = "from mart_app_stability_daily where segment_type = 'total'"
MARTS = {
    "active_users": "select activity_date, active_users from mart_active_users_daily",
    "active_users_rolling_7": f"{ROLLING} window_days = 7",
    "active_users_rolling_28": f"{ROLLING} window_days = 28",
    "active_users_rolling_365": f"{ROLLING} window_days = 365",
    "session_count": """
        select activity_date, if(is_gap, null, count(session_key))
        from mart_active_users_daily left join fct_session on session_date = activity_date
        group by activity_date, is_gap
    """,
    "started_sessions": f"select session_date, started_sessions {STABILITY}",
    "crash_free_sessions": f"select session_date, crash_free_sessions {STABILITY}",
    "crash_free_rate": f"select session_date, crash_free_rate {STABILITY}",
    "watch_hours": "select activity_date, watch_hours from mart_engagement_daily where segment_type = 'total'",
    "revenue_usd": "select revenue_date, revenue_usd from mart_revenue_daily where segment_type = 'total'",
}
"""The same as each daily metric, from the marts: NULL is a day of which nothing is known."""
SEGMENTS = {
    "platform": "user_day__platform",
    "app_version": "user_day__app_version",
    "country": "country",
    "region": "country__region_name",
    "income_group": "country__income_group",
}
"""The marts' segment types, and what MetricFlow calls them."""


@pytest.fixture(scope="module")
def published(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Twelve days and a gap, built once."""
    folder = tmp_path_factory.mktemp("metrics") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFTOFF_DATA_DIR", str(folder))
        for variable, value in source.settings.items():
            patch.setenv(variable, value)
        for days in (window(0, GAP - 1), window(GAP + 1, LAST)):
            for land in (intake.land_events, intake.land_extracts, intake.land_market_data):
                land(days)
        candidate_id = building.prepare(allow_gap=True)
        assert candidate_id
        building.transform(candidate_id)
        building.audit(candidate_id)
        building.publish(candidate_id)
    return Platform(folder)


@pytest.fixture
def release(published: Platform) -> Iterator[Release]:
    """What is published, which must be the same afterwards, byte for byte."""
    release = published.current()
    before = content(release.path)
    yield release
    assert content(release.path) == before


@dataclass(frozen=True)
class Asked:
    """One release, asked in both ways."""

    layer: SemanticLayer
    connection: duckdb.DuckDBPyConnection

    def metric(self, name: str, *group_by: str, **options: Any) -> dict[Any, Any]:
        """By the semantic layer."""
        return keyed(row.values() for row in self.layer.ask(self.connection, Question([name], group_by, **options)))

    def sql(self, sql: str) -> dict[Any, Any]:
        """By SQL."""
        return keyed(self.connection.execute(sql).fetchall())


@pytest.fixture
def asked(release: Release) -> Iterator[Asked]:
    with connect(load_settings(), release.database, read_only=True) as connection:
        yield Asked(SemanticLayer(release), connection)


def keyed(rows: Iterable[Iterable[Any]]) -> dict[Any, Any]:
    """Values by what comes before them in their row."""
    return {tuple(keys): value for *keys, value in rows}


def known(values: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in values.items() if value is not None}


def content(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.iterdir()}


def assert_same(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Whole numbers and money exactly, the rest but for its last digits."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        is_same = math.isclose(found[key], value, rel_tol=1e-9) if isinstance(value, float) else found[key] == value
        assert is_same, f"{key}: {found[key]}, and {value} in the mart"


def test_a_release_holds_its_own_definitions(release: Release) -> None:
    assert release.manifest.semantic_manifest_sha256 == sha256(release.semantic_manifest)
    names = {metric["name"] for metric in SemanticLayer(release).metrics()}
    assert names == {*MARTS, "retention_rate", "retained_users", "mature_users"}, "compare each metric with its mart"


@pytest.mark.parametrize("metric", MARTS)
def test_a_metric_is_on_every_day_what_its_mart_says(metric: str, asked: Asked) -> None:
    found = asked.metric(metric, "metric_time")
    assert found.keys() == {(day(number),) for number in range(LAST + 1) if number != GAP}, (
        "a missing day is not a zero"
    )
    assert any(found.values()), "without any value this test proves nothing"
    assert_same(found, known(asked.sql(MARTS[metric])))


@pytest.mark.parametrize("segment_type", SEGMENTS)
def test_active_users_of_a_segment_are_those_of_the_marts(segment_type: str, asked: Asked) -> None:
    expected = asked.sql(
        "select activity_date, segment_value, active_users from mart_active_users_rolling "
        f"where window_days = 1 and segment_type = '{segment_type}' and active_users > 0"
    )
    assert len(expected) >= LAST
    found = asked.metric("active_users", "metric_time", SEGMENTS[segment_type])
    assert_same({key: users for key, users in found.items() if users}, expected)


def test_retention_is_that_of_the_cohorts_alone_and_together(asked: Asked) -> None:
    daily = "from mart_retention_cohort where cohort_grain = 'day'"
    found = known(asked.metric("retention_rate", "metric_time", "cohort__day_number"))
    assert (day(0), 7) in found
    assert (day(6), 7) not in found, "too young"
    assert_same(found, known(asked.sql(f"select cohort_date, period_number, retention_rate {daily}")))
    for metric, counted in (("retained_users", "retained_users"), ("mature_users", "cohort_users")):
        assert_same(
            known(asked.metric(metric, "metric_time", "cohort__day_number")),
            asked.sql(
                f"select cohort_date, period_number, {counted} {daily} and retained_users >= 0 and cohort_users > 0"
            ),
        )
    assert_same(
        known(asked.metric("retention_rate", "cohort__day_number")),
        asked.sql(
            f"select period_number, sum(retained_users) / sum(cohort_users) {daily} and retained_users is not null "
            "group by period_number"
        ),
    )


def test_a_question_is_narrowed_ordered_and_cut_off(asked: Asked) -> None:
    on_tv = {"where": ["{{ Dimension('user_day__platform') }} = 'tv'"], "start": day(1), "end": day(5)}
    found = asked.metric("active_users", "metric_time", order=["-active_users"], limit=3, **on_tv)
    expected = asked.sql(
        "select activity_date, count(*) from fct_user_activity_day where is_active and platform = 'tv' "
        f"and activity_date between '{day(1)}' and '{day(5)}' group by all"
    )
    assert list(found.values()) == sorted(expected.values(), reverse=True)[:3]
    weeks = asked.metric("active_users", "metric_time__week", order=["-metric_time__week"])
    assert list(weeks) == [(day(7),), (day(0),)]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question(["actve_users"]), r"no metric actve_users \(did you mean active_users\?\)"),
        (Question(["active_users"], ["platform"]), r"platform \(did you mean user_day__platform\?\)"),
        (Question(["active_users", "revenue_usd"], ["user_day__platform"]), r"can be used: metric_time, country,"),
        (Question(["active_users"], order=["revenue_usd"]), "holds no revenue_usd"),
        (Question(["active_users"], where=["{{ Dimension('user_day__plat') }} = 'tv'"]), "mean user_day__platform"),
        (Question(["active_users"], where=["{{ Dimension('user_day__platform') } = 'tv'"]), "cannot be read"),
        (Question(["active_users"], where=["platform = 'tv'"]), r"cannot be used(.|\n)*platform"),
        (Question(["active_users_rolling_7"]), "do not include 'metric_time'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(question: Question, said: str, asked: Asked) -> None:
    with pytest.raises(WrongUsage, match=said) as refusal:
        asked.layer.ask(asked.connection, question)
    assert "Traceback" not in str(refusal.value)


def test_the_documentation_is_one_page_of_all_models_metrics_and_decisions(release: Release) -> None:
    page = write_docs(load_settings(), release)
    text = page.read_text()
    with duckdb.connect(str(release.database), read_only=True) as connection:
        tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'main'").fetchall()
    for name in (*(name for (name,) in tables), *MARTS, "keep_spending_on_the_launch", "launch_pays_for_itself"):
        assert f'"{name}"' in text, f"{name} is not documented"
    assert str(load_settings().data_dir) not in text, "it may be published, and names no folder of this machine"
    assert re.search(r'"send_anonymous_usage_stats": *false', text), "else the page itself reports each visit"
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html"]
    assert not list(load_settings().data_dir.glob("dbt/docs/*.duckdb")), "the copy that dbt had is not kept"
