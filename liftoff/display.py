"""How a run looks in a terminal: one line a stage, with its time; without a terminal, the same lines as they end."""

import logging
import os
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

STAGES = {
    "business": "Simulating the product's business",
    "simulate": "Simulating the product's logs",
    "truth": "Writing down the truth",
    "start": "Starting Airflow",
    "land events": "Reading and checking logs",
    "audit events": "Auditing them",
    "land extracts": "Reading the upstream warehouse",
    "audit extracts": "Auditing its changes and lists",
    "land market data": "Asking third-party services",
    "audit market data": "Auditing their answers",
    "land replay": "Reading refused records again",
    "audit replay": "Auditing the days that they join",
    "prepare": "Planning the build",
    "transform": "Building models and testing them",
    "audit marts": "Auditing the marts",
    "publish": "Publishing",
}


class RunDisplay:
    """Shows the stages of a run from the flow's log records (their `stage`, `done` and `total`)."""

    def __init__(self, console: Console, *, first_stage: str) -> None:
        self.console = console
        self.first_stage = first_stage
        self.seconds: dict[str, float] = {}
        """How long each stage took, in the order in which they began."""
        self._stage = ""
        self._failed: set[str] = set()
        self._since = 0.0
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.fields[mark]}"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @property
    def total(self) -> float:
        """Seconds from the first stage to the end of the last."""
        return sum(self.seconds.values())

    def __enter__(self) -> Self:
        # A headless run sends this process's output to its log: the display keeps the terminal by a handle of its own.
        self._terminal = os.fdopen(os.dup(self.console.file.fileno()), "w", encoding="utf-8")
        self._before, self.console.file = self.console.file, self._terminal
        self._progress.__enter__()
        self._begin(self.first_stage)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error and not self._failed:
            self._failed.add(self._stage)
        self._end()
        self._progress.__exit__(kind, error, traceback)
        self.console.file = self._before
        self._terminal.close()

    def on_record(self, record: logging.LogRecord) -> None:
        """Take one log record of the flow. An error is of the stage that it comes in; other sources may go on."""
        if getattr(record, "error", None):
            self._failed.add(self._stage)
        if stage := getattr(record, "stage", None):
            self.show(stage, getattr(record, "done", 0), getattr(record, "total", None))

    def show(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """Enter a stage of `STAGES`, or say how far it is."""
        if stage != self._stage:
            self._end()
            self._begin(stage)
        if self._task is not None:
            count = f"{done} of {total}" if total else ""
            self._progress.update(self._task, completed=done, total=total, count=count)

    def _begin(self, stage: str) -> None:
        self._stage, self._since = stage, time.monotonic()
        self._task = self._progress.add_task(f"{STAGES[stage]:<32}", total=None, count="", mark="[cyan]•")

    def _end(self) -> None:
        ended_well = self._stage not in self._failed
        seconds = time.monotonic() - self._since
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + seconds
        if self._task is not None:
            if ended_well:
                total = self._progress.tasks[self._task].total or 1
                count = f"{total:.0f}" if total > 1 else ""
                self._progress.update(self._task, completed=total, total=total, count=count, mark="[green]✓")
            else:
                self._progress.update(self._task, total=1, mark="[red]✗")
            self._progress.stop_task(self._task)
        if not self.console.is_terminal:
            self.console.print(
                f"{'✓' if ended_well else '✗'} {STAGES[self._stage]:<32} {seconds:5.1f} s", highlight=False
            )
