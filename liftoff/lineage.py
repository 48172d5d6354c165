"""What each column of a query was made from, down to the fields of events, through every model between.

Values are followed through expressions, joins, unions and windows. So are rows: what filters, joins or groups them is
used by every column of theirs. Conditions on the event's name are understood: what stands under
`event_name = 'app_crash'` uses the fields of that event and of no other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import sqlglot
from sqlglot import exp

from storage.errors import LiftoffError

SELECTED = "select"
"""The alias, which no source can have, of the columns that a query has named so far."""

EVENT_NAME = "event_name"
"""The field that says which event a row is."""


class LineageError(LiftoffError):
    """A query reads what is not known, or is written in a way that cannot be followed. The message quotes it."""


@dataclass(frozen=True)
class Use:
    """A field of one kind of event, of which something was made."""

    field: str
    event: str
    is_own: bool = True
    """Whether the event is the row itself. A window takes values from other rows, which may be other events."""


Uses: TypeAlias = frozenset[Use]


@dataclass(frozen=True)
class Column:
    """A column of a relation."""

    uses: Uses = frozenset()
    copies: str = ""
    """The field whose value it is, unchanged; empty where it was made by an expression."""


@dataclass(frozen=True)
class Relation:
    """A table, or what a query answers: its columns in order, and what decided which rows there are."""

    columns: Mapping[str, Column] = field(default_factory=dict)
    rows: Uses = frozenset()
    is_open: bool = False
    """It has other columns too, made of no event, as a table function does."""

    def uses(self, *names: str) -> Uses:
        """What some columns and their rows were made from."""
        return _of_other_rows(self.rows.union(*(self.columns[name].uses for name in names)))


def relation_of(sql: str, known: Mapping[str, Relation], *, ties_count: bool = True) -> Relation:
    """What a query in DuckDB's SQL answers.

    Args:
        sql: one query.
        known: what it reads, by name; a file by its path.
        ties_count: whether a window's second and further sorting keys are used. Not so in a query that sorts by all
            columns that it has, only to come to the same answer each time.

    Raises:
        LineageError: it reads a table or a column that is not known.
    """
    return _Reader(known, ties_count=ties_count).relation(_parse(sql))


def uses_of(expression: str, relation: Relation) -> Uses:
    """What an expression over the rows of one relation was made from, the rows included.

    Raises:
        LineageError: it reads a column that is not known.
    """
    scope = {"": _Source(relation)}
    return _of_other_rows(relation.rows | _Reader({}).uses(_parse(expression), scope))


def _parse(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect="duckdb")


@dataclass(frozen=True)
class _Source:
    """A relation in FROM, and which events its rows may be by the conditions met so far: any, where that is None."""

    relation: Relation
    events: frozenset[str] | None = None

    def column(self, name: str) -> Column:
        column = self.relation.columns.get(name, Column())
        if self.events is None:
            return column
        return replace(column, uses=frozenset(u for u in column.uses if not u.is_own or u.event in self.events))

    @property
    def has_events_of_its_own(self) -> bool:
        return any(use.is_own for column in self.relation.columns.values() for use in column.uses)

    def narrowed(self, events: frozenset[str]) -> "_Source":
        return replace(self, events=events if self.events is None else self.events & events)


_Scope: TypeAlias = Mapping[str, _Source]
"""What can be named, by alias: the nearest first."""
_Events: TypeAlias = dict[str, frozenset[str]]
"""Which events the rows of a source are, by its alias, when a condition holds."""


@dataclass(frozen=True)
class _Reader:
    known: Mapping[str, Relation]
    outer: _Scope = field(default_factory=dict)
    """What a subquery may name of the query around it."""
    ties_count: bool = True

    def relation(self, query: exp.Expr) -> Relation:
        """What a query answers."""
        if not isinstance(query, exp.Query):
            raise _not_followed(query)
        reader = self
        for cte in query.ctes:
            reader = replace(reader, known={**reader.known, cte.alias: reader.relation(cte.this)})
        if isinstance(query, exp.Subquery):
            return reader.relation(query.this)
        return reader._union(query) if isinstance(query, exp.SetOperation) else reader._select(query)

    def _union(self, query: exp.SetOperation) -> Relation:
        left, right = self.relation(query.left), self.relation(query.right)
        if query.args.get("by_name"):
            names = {name: name for name in (*left.columns, *right.columns)}
        else:
            names = dict(zip(left.columns, right.columns, strict=True))
        columns = {
            name: _either(left.columns.get(name, Column()), right.columns.get(other, Column()))
            for name, other in names.items()
        }
        all_values = columns.values() if query.args.get("distinct") else ()
        return Relation(columns, left.rows.union(right.rows, *(column.uses for column in all_values)))

    def _select(self, select: exp.Expr) -> Relation:
        sources, rows = self._sources(select)
        scope: _Scope = {**sources, **self.outer}
        if where := select.args.get("where"):
            rows |= self.uses(where, scope)
            scope = _narrowed(scope, self._events(where.this, scope))
        columns = self._columns(select, sources, scope)
        scope = {**scope, SELECTED: _Source(Relation(columns))}
        rows = rows.union(*(self.uses(clause, scope) for clause in _clauses_on_rows(select)))
        if select.args.get("distinct"):
            rows = rows.union(*(column.uses for column in columns.values()))
        if sum(source.has_events_of_its_own for source in sources.values()) > 1:  # a row is no one event any more
            columns = {name: replace(column, uses=_of_other_rows(column.uses)) for name, column in columns.items()}
        return Relation(columns, rows)

    def _sources(self, select: exp.Expr) -> tuple[_Scope, Uses]:
        """What a SELECT reads, by alias, and what that makes of its rows."""
        sources: _Scope = {}
        rows: Uses = frozenset()
        reads = [(start.this, exp.Join())] if (start := select.args.get("from_")) else []
        for read, join in [*reads, *((join.this, join) for join in select.args.get("joins", ()))]:
            if join.args.get("using") or join.method:
                raise _not_followed(join)
            relation, alias = self._read(read), read.alias_or_name or f"({len(sources)})"
            sources = {**sources, alias: _Source(relation)}
            condition = join.args.get("on") or exp.true()
            used = _of_other_rows(relation.rows) | self.uses(condition, {**sources, **self.outer})
            events = self._events(condition, sources)
            if join.side == "LEFT":  # it decides what is beside a row, not which rows there are
                sources = {**sources, alias: _Source(_beside(relation, used), events.get(alias))}
            else:
                rows |= used
                sources = sources if join.side else _narrowed(sources, events)
        return sources, rows

    def _columns(self, select: exp.Expr, sources: _Scope, scope: _Scope) -> dict[str, Column]:
        """What a SELECT names, in order. An expression may use what was named before it."""
        columns: dict[str, Column] = {}
        for expression in select.expressions:
            value = expression.unalias()
            scope = {**scope, SELECTED: _Source(Relation(columns))}
            if value.is_star:
                for alias in [value.table] if isinstance(value, exp.Column) else sources:
                    columns |= {name: scope[alias].column(name) for name in scope[alias].relation.columns}
            elif isinstance(value, exp.Column):
                columns |= {expression.alias_or_name: self._found(value, scope)[1]}
            else:
                columns |= {expression.alias_or_name: Column(self.uses(value, scope))}
        return columns

    def _read(self, read: exp.Expr) -> Relation:
        if read.args.get("pivots") or read.args.get("joins"):
            raise _not_followed(read)
        if isinstance(read, exp.Subquery):
            return self.relation(read)
        if not isinstance(read, exp.Table) or not isinstance(read.this, exp.Identifier):
            paths = [literal.name for literal in read.find_all(exp.Literal) if literal.name in self.known]
            return self.known[paths[0]] if paths else Relation(is_open=True)
        if read.name not in self.known:
            raise LineageError(f"The table {read.name} is not known.")
        return self.known[read.name]

    def uses(self, expression: exp.Expr, scope: _Scope) -> Uses:
        """What the value of an expression is made from."""
        compared = self._compared(expression, scope)
        match expression:
            case _ if compared:
                _, column, names = compared
                found = frozenset(use for use in column.uses if use.event in names)
            case exp.Column():
                found = self._found(expression, scope)[1].uses
            case exp.Query():
                answer = replace(self, outer=scope).relation(expression)
                found = answer.uses(*answer.columns)
            case exp.Filter():  # an aggregate of some rows alone
                found = self._uses_under(expression.expression.this, expression.this, scope)
            case exp.And():
                left, right = expression.left, expression.right
                beside_left = self.uses(right, _narrowed(scope, self._events(left, scope)))
                found = beside_left | self.uses(left, _narrowed(scope, self._events(right, scope)))
            case exp.Case():
                found = self._uses_of_case(expression, scope)
            case exp.Window():
                found = _of_other_rows(self._uses_of_parts(self._without_ties(expression), scope))
            case _:
                found = self._uses_of_parts(expression, scope)
        return found

    def _uses_under(self, condition: exp.Expr, expression: exp.Expr, scope: _Scope) -> Uses:
        """What an expression is made from that counts only where a condition holds, with the condition itself."""
        narrowed = _narrowed(scope, self._events(condition, scope))
        return self.uses(condition, scope) | self.uses(expression, narrowed)

    def _uses_of_parts(self, expression: exp.Expr, scope: _Scope) -> Uses:
        return frozenset[Use]().union(*(self.uses(part, scope) for part in expression.iter_expressions()))

    def _uses_of_case(self, case: exp.Case, scope: _Scope) -> Uses:
        found = self.uses(case.args["default"], scope) if case.args.get("default") else frozenset()
        for branch in case.args["ifs"]:
            condition = exp.EQ(this=case.this.copy(), expression=branch.this.copy()) if case.this else branch.this
            found |= self._uses_under(condition, branch.args["true"], scope)
        return found

    def _without_ties(self, window: exp.Window) -> exp.Expr:
        window = window.copy()
        if (order := window.args.get("order")) and not self.ties_count:
            order.set("expressions", order.expressions[:1])
        return window

    def _events(self, condition: exp.Expr, scope: _Scope) -> _Events:
        """Which events the rows of sources are when a condition holds; a source that is not named may be any."""
        match condition:
            case exp.Paren():
                return self._events(condition.this, scope)
            case exp.And():
                left, right = self._events(condition.left, scope), self._events(condition.right, scope)
                both = {alias: left[alias] & right[alias] for alias in left.keys() & right.keys()}
                return left | right | both
            case exp.Or():
                left, right = self._events(condition.left, scope), self._events(condition.right, scope)
                return {alias: left[alias] | right[alias] for alias in left.keys() & right.keys()}
            case exp.Not(this=exp.Is(this=exp.Column() as filled, expression=exp.Null())):
                alias, column = self._found(filled, scope)
                return {alias: frozenset(use.event for use in column.uses)} if column.copies else {}
            case exp.Not():
                compared, is_negated = self._compared(condition.this, scope), True
            case _:
                compared, is_negated = self._compared(condition, scope), isinstance(condition, exp.NEQ)
        if compared is None:
            return {}
        alias, column, names = compared
        return {alias: frozenset(use.event for use in column.uses if (use.event in names) is not is_negated)}

    def _compared(self, condition: exp.Expr, scope: _Scope) -> tuple[str, Column, set[str]] | None:
        """Where a condition compares an event's name with literals: the source, its column, and the names."""
        match condition:
            case exp.EQ() | exp.NEQ():
                sides = [condition.left, condition.right]
                literals = [side for side in sides if isinstance(side, exp.Literal)]
                columns = [side for side in sides if isinstance(side, exp.Column)]
            case exp.In():
                columns = [condition.this] if isinstance(condition.this, exp.Column) else []
                literals = [one for one in condition.expressions if isinstance(one, exp.Literal)]
            case _:
                return None
        if len(columns) != 1 or not literals:
            return None
        alias, column = self._found(columns[0], scope)
        return (alias, column, {literal.name for literal in literals}) if column.copies == EVENT_NAME else None

    def _found(self, column: exp.Column, scope: _Scope) -> tuple[str, Column]:
        """The source that a column comes from, and the column."""
        candidates = [column.table] if column.table else [*scope]
        for alias in candidates:
            if alias in scope and column.name in scope[alias].relation.columns:
                return alias, scope[alias].column(column.name)
        for alias in candidates:
            if alias in scope and scope[alias].relation.is_open:
                return alias, Column()
        raise LineageError(f"The column {column.sql('duckdb')} is not known.")


def _clauses_on_rows(select: exp.Expr) -> Iterator[exp.Expr]:
    """What decides which rows a SELECT answers, once its columns are named."""
    if (group := select.args.get("group")) and group.args.get("all"):
        raise _not_followed(group)
    yield from (found for name in ("group", "having", "qualify") if (found := select.args.get(name)))
    if select.args.get("limit") and (order := select.args.get("order")):
        yield order


def _narrowed(scope: _Scope, events: _Events) -> _Scope:
    return {alias: source.narrowed(events[alias]) if alias in events else source for alias, source in scope.items()}


def _either(left: Column, right: Column) -> Column:
    """A column of a union. What was made of no event says nothing about what the other side copies."""
    copies = {column.copies for column in (left, right) if column.uses}
    return Column(left.uses | right.uses, copies.pop() if len(copies) == 1 else "")


def _beside(relation: Relation, used: Uses) -> Relation:
    """What a left join puts beside a row: it is there by what the relation's rows, and the join, were made from."""
    columns = {name: Column(column.uses | used) for name, column in relation.columns.items()}
    return Relation(columns, is_open=relation.is_open)


def _of_other_rows(uses: Uses) -> Uses:
    return frozenset(replace(use, is_own=False) for use in uses)


def _not_followed(expression: exp.Expr) -> LineageError:
    return LineageError(f"This cannot be followed: {expression.sql('duckdb').strip()[:80]}. Write it in another way.")
