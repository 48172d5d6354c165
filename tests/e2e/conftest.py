"""A small launch, and installations that load it."""

from tests.launch import loaded, new_platform, parsed_once, platform, source

__all__ = ["loaded", "new_platform", "parsed_once", "platform", "source"]
