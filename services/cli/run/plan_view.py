"""A plan on a screen, and as values for the chart."""

from typing import Any

import yaml

from services.cli.console import Column, many, out, print_table
from services.core.planning.deployment import Plan

CALLS = (
    *(Column("model"), Column("stage"), Column("calls a case", right=True), Column("tokens in", right=True, drop=2)),
    *(Column("out", right=True, drop=2), Column("calls/s", right=True), Column("USD a case", right=True, drop=1)),
    Column("from", drop=3),
)
MODELS = (
    *(Column("model"), Column("s a call", right=True, drop=1), Column("in flight", right=True)),
    *(Column("servers", right=True), Column("GPUs", right=True), Column("most", right=True)),
    Column("cases/h at most", right=True, drop=2),
)
SERVICES = (
    *(Column("service"), Column("s a case", right=True, drop=1), Column("pods", right=True)),
    *(Column("most", right=True), Column("cases/h at most", right=True, drop=2)),
)
_UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def show(plan: Plan, chart: dict[str, Any], *, cases: int | None, took_s: float | None) -> None:
    """Print the plan: tables, totals, what bounds it, and values for the chart."""
    print_table(
        CALLS,
        [
            (
                *(each.alias, each.stage, f"{each.of_case:.2f}", str(round(each.prompt)), str(round(each.completion))),
                *(f"{each.per_s:.2f}", f"{each.usd_of_case:.5f}", "measured" if each.measured else "assumed"),
            )
            for each in plan.calls
        ],
    )
    out.print()
    print_table(
        MODELS,
        [
            (
                *(each.alias, f"{each.call_s:g}", f"{each.in_flight:g}", str(each.servers), str(each.gpus)),
                *(str(each.most), f"{each.cases_per_h:,}"),
            )
            for each in plan.models
        ],
    )
    out.print()
    print_table(
        SERVICES,
        [
            (each.service, f"{each.case_s:g}", str(each.pods), str(each.most), f"{each.cases_per_h:,}")
            for each in plan.services
        ],
    )
    out.print()
    for line in _lines(plan, cases, took_s):
        out.print(line, highlight=False, soft_wrap=True)
    out.print(yaml.safe_dump(chart, sort_keys=False).rstrip(), highlight=False, soft_wrap=True)


def chart_values(plan: Plan) -> dict[str, Any]:
    """The part of the chart's values that the plan decides: most servers and pods, and partitions."""
    return {
        "kafka": {"partitions": plan.partitions},
        "services": {each.service: {"most": each.pods} for each in plan.services},
        "pools": [{"alias": each.alias, "most": each.servers} for each in plan.models if each.gpus],
    }


def _lines(plan: Plan, cases: int | None, took_s: float | None) -> list[str]:
    fits = "fits" if plan.fits else "is NOT reached with the present `most`; the values below reach it"
    hourly = f"{plan.usd_of_case:.4f} USD a case, {plan.usd_of_case * plan.cases_per_h:.2f} USD an hour"
    took = "" if took_s is None else f"; {cases:,} cases take {took_s / 3600:.1f} h from zero"
    return [
        f"{plan.cases_per_h:,.0f} cases an hour on {many(plan.gpus, 'GPU')}{took}",
        hourly if plan.usd_of_case else "the recipe has no prices",
        f"from zero: first call after {plan.from_zero_s:.0f} s; a difficult case that never waits: {plan.case_s:.0f} s",
        f"full first: {plan.bound}, at {plan.bound_cases_per_h:,} cases an hour: this plan {fits}",
        f"stored, before compression: Kafka {size(plan.bytes.kafka)} with replicas, ledger {size(plan.bytes.ledger)}, "
        f"table {size(plan.bytes.table_per_day)} a day",
        "values for the chart (merge `pools` by alias):",
    ]


def size(count: int) -> str:
    """Bytes with a unit."""
    for of, unit in _UNITS:
        if count >= of:
            return f"{count / of:.1f} {unit}"
    return f"{count} B"
