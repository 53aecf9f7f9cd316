"""Pages of long lists: counted as far as that is quick, estimated beyond."""

import json
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.paginator import Page, Paginator
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils.functional import cached_property

COUNTED = 100_000  # rows; more are estimated, and pages end there
FAR = 1000  # rows before a page; from there on only keys are read on the way to it
PATIENCE_MS = 100  # of counting; after that the estimate has to do


class EstimatingPaginator(Paginator):
    """A paginator that never reads a whole table.

    ``count`` is what can be paged through: at most `COUNTED`. ``total`` is how many there are, exact unless
    ``is_estimate``: then it is what PostgreSQL's planner expects.
    """

    template_name = "backoffice/pagination.html"

    @cached_property
    def count(self) -> int:
        """How many rows the pages have."""
        return min(self.total, COUNTED)

    def page(self, number: Any) -> "Page[Any]":
        """A page. On the way to a far one nothing is joined."""
        number = self.validate_number(number)
        rows: Any = self.object_list
        start = (number - 1) * self.per_page
        if start < FAR or not isinstance(rows, QuerySet):
            return super().page(number)
        keys = list(rows.select_related(None).values_list("pk", flat=True)[start : start + self.per_page])
        return Page(rows.filter(pk__in=keys), number, self)

    @property
    def total(self) -> int:
        """How many rows there are, or about how many."""
        return self._counted[0]

    @property
    def is_estimate(self) -> bool:
        """Whether ``total`` is one."""
        return self._counted[1]

    @property
    def is_cut(self) -> bool:
        """Whether there are rows no page shows."""
        return self.total > COUNTED

    @property
    def total_written(self) -> str:
        """``total`` for people; of an estimate the first two figures."""
        return f"{_round(self.total):,}" if self.is_estimate else f"{self.total:,}"

    @property
    def cut_written(self) -> str:
        """Where the pages end, for people."""
        return f"{COUNTED:,}"

    @cached_property
    def _counted(self) -> tuple[int, bool]:
        rows: Any = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows), False
        rows = rows.order_by()
        estimate = estimate_rows(rows)
        if estimate > COUNTED:
            return estimate, True
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
                counted = rows.values("pk")[: COUNTED + 1].count()
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL statement_timeout = DEFAULT")
        except OperationalError:  # took too long
            return max(estimate, 1), True
        return counted, counted > COUNTED


def estimate_rows(rows: "QuerySet[Any]") -> int:
    """How many rows PostgreSQL's planner expects; 0 where Django knows that there are none."""
    try:
        sql, parameters = rows.values("pk").query.sql_with_params()
    except EmptyResultSet:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        ((plan,),) = cursor.fetchall()
    return int((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]["Plan Rows"])


def _round(count: int) -> int:
    digits = 10 ** max(len(str(count)) - 2, 0)
    return round(count / digits) * digits
