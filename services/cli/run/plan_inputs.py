"""What a plan starts from: the chart's values, and the figures of a running stream."""

from pathlib import Path
from typing import Any

import yaml

from services.cli.console import Failed
from services.cli.coordinates import ledger
from services.contracts.recipe import Recipe
from services.core.ledger.spending import SETTLED_ENOUGH
from services.core.planning.demand import CallKind, Shares, Tokens
from services.core.planning.deployment import Cluster, Pool
from services.core.status.figures import Figures
from services.ledger import open_status_store

_IN_WHEEL = Path(__file__).with_name("chart-values.yaml")
DEFAULTS = _IN_WHEEL if _IN_WHEEL.is_file() else Path(__file__).resolve().parents[3] / "k8s/chart/values.yaml"
"""The chart's own values: beside this module in a wheel, in k8s/chart in a checkout."""


def cluster(recipe: Recipe, values: Path | None) -> Cluster:
    """The chart's values that matter. Raises Failed, which says what is missing in which file."""
    merged = _merged(_read(DEFAULTS), _read(values) if values is not None else {})
    where = values or DEFAULTS
    try:
        pools = {given["alias"]: _pool(given) for given in merged["pools"]}
        if missing := sorted(set(recipe.models) - set(pools)):
            raise Failed(f"{where}: `pools` has no server for the recipe's {', '.join(missing)}: name it with --values")
        services = merged["services"]
        return Cluster(
            pools=pools,
            cases={name: int(given["cases"]) for name, given in services.items() if "cases" in given},
            most={name: int(given["most"]) for name, given in services.items()},
            wait_s=float(merged["waitSeconds"]),
            start_s=float(merged["servers"]["startSeconds"]) if any(pool.gpus for pool in pools.values()) else 0.0,
            replication=int(merged["kafka"]["replication"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Failed(f"{where} are no values of the chart: {type(error).__name__}: {error}") from error


def _pool(given: dict[str, Any]) -> Pool:
    """A set of servers of the chart; or one elsewhere, of which only its workers' limit is known."""
    if "gpus" not in given:
        return Pool(at_once=int(given.get("maxCalls", 64)), call_s=float(given["callSeconds"]))
    return Pool(
        at_once=int(given["maxNumSeqs"]),
        call_s=float(given["callSeconds"]),
        gpus=int(given["gpus"]),
        most=int(given["most"]),
    )


async def measured(folder: Path) -> tuple[Shares, dict[CallKind, tuple[float, Tokens]]]:
    """The shares of routes, and calls of a case with their mean tokens, of a stream that has ended enough cases.
    Raises Failed."""
    async with open_status_store(ledger(folder)) as store:
        published = await store.published()
    if published is None:
        raise Failed("no monitor has published figures here: leave --measured out")
    figures = Figures.model_validate_json(published)
    ended = figures.ends.accepted + figures.ends.rejected
    if ended < SETTLED_ENOUGH:
        raise Failed(f"only {ended} cases have ended, {SETTLED_ENOUGH} are needed: leave --measured out, or wait")
    return _shares(figures, ended), {
        (each.alias, each.stage): (
            each.calls / ended,
            Tokens(each.tokens_in / each.calls, each.tokens_out / each.calls),
        )
        for each in figures.spent
        if each.calls
    }


def _shares(figures: Figures, ended: int) -> Shares:
    routed = max(1, sum(figures.routes.values()))
    records = sum(each.records for each in figures.records) / ended
    return Shares(
        medium=figures.routes.get("medium", 0) / routed,
        difficult=figures.routes.get("difficult", 0) / routed,
        records=records or Shares.records,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Failed(f"{path} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise Failed(f"{path} are no values of the chart: it must be a mapping")
    return found


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges values: mappings by key, all else as a whole."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
