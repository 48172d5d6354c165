"""How far a run is, told to whoever listens to the log."""

import logging

log = logging.getLogger("liftoff")


def enter(stage: str, *, done: int = 0, total: int | None = None) -> None:
    """Say which stage begins, or how much of it is done: display.py shows it."""
    log.debug("%s: %s of %s", stage, done, total, extra={"stage": stage, "done": done, "total": total})
