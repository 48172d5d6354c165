"""The launch of the tests end to end, and the truth about it."""

from tests.e2e.conftest import loaded, source

__all__ = ["loaded", "source"]
