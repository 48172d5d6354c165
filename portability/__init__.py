"""Rules of our own for sqlfluff, which imports them by an entry point: SQL that DuckDB and Spark read alike."""

from sqlfluff.core.plugin import hookimpl
from sqlfluff.core.rules import BaseRule


@hookimpl
def get_rules() -> list[type[BaseRule]]:
    """Name the rules. They are imported here and not above, because sqlfluff wants to be ready before."""
    from portability.rules import Rule_Portable_PB00

    return list(Rule_Portable_PB00.__subclasses__())
