"""What a terminal shows of a run of which one part failed."""

import logging
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from liftoff.display import STAGES, RunDisplay
from liftoff.headless import _together
from storage.errors import Blocked, LiftoffError


def record(**extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord(extra)


def shown(path: Path, *records: logging.LogRecord) -> dict[str, str]:
    """The mark of each stage, after a run that gave these records and then failed."""
    with path.open("w") as file, pytest.raises(LiftoffError):  # noqa: PT012, SIM117
        with RunDisplay(Console(file=file), first_stage="land events") as display:
            for one in records:
                display.on_record(one)
            raise LiftoffError
    return {line[2:].rsplit("  ", 1)[0].strip(): line[0] for line in path.read_text().splitlines()}


def test_an_error_marks_its_own_stage_although_other_sources_go_on(tmp_path: Path) -> None:
    marks = shown(
        tmp_path / "said",
        record(stage="audit events"),
        record(error=Blocked("half of the day is missing")),
        record(stage="land extracts"),
    )
    assert marks == {STAGES["land events"]: "✓", STAGES["audit events"]: "✗", STAGES["land extracts"]: "✓"}


def test_a_run_that_breaks_without_a_word_marks_where_it_was(tmp_path: Path) -> None:
    assert shown(tmp_path / "said", record(stage="prepare")) == {STAGES["land events"]: "✓", STAGES["prepare"]: "✗"}


def test_what_stopped_a_run_is_told_of_all_sources() -> None:
    alone = Blocked("half of the day is missing")
    both = _together([LiftoffError("the warehouse is down"), alone])
    assert _together([alone]) is alone
    assert isinstance(both, Blocked), "the exit code tells that the gate blocked"
    assert str(both) == "the warehouse is down\n\nhalf of the day is missing"
    assert _together([]) is None
