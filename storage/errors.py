"""The errors that people see: what happened, to what, and what to do."""


class LiftoffError(Exception):
    """Base of every expected error. Its message is shown to people as it is, without a traceback."""


class Blocked(LiftoffError):
    """The gate, or a rule of the build, refused something. Readers still see what they saw before.

    `gate_id` names the audit that found the reason, if it was one.
    """

    def __init__(self, message: str, *, gate_id: str = "") -> None:
        self.gate_id = gate_id
        super().__init__(message)


class WrongUsage(LiftoffError):
    """What was asked for makes no sense. Nothing was done."""
