"""The same small launch as in tests/e2e."""

from tests.e2e.conftest import _parsed_once, loaded, new_platform, platform, source

__all__ = ["_parsed_once", "loaded", "new_platform", "platform", "source"]
