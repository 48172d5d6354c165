"""The errors that people see: what happened, to what, and what to do."""


class LiftoffError(Exception):
    """Base of every expected error. Its message is shown to people as it is, without a traceback."""


class Blocked(LiftoffError):
    """The gate, or a rule of the build, refused something. Readers still see what they saw before."""


class WrongUsage(LiftoffError):
    """What was asked for makes no sense. Nothing was done."""
