"""The flow from raw logs to audited releases, and its doors."""

__version__ = "0.1.0"
