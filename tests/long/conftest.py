"""The same small launch as in tests/e2e."""

from tests.launch import loaded, new_platform, parsed_once, platform, source

__all__ = ["loaded", "new_platform", "parsed_once", "platform", "source"]
