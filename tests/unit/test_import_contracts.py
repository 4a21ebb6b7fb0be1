"""The import contracts: what they don't list is not allowed, so nothing may be missing from them."""

import configparser
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]


def test_every_library_has_a_contract() -> None:
    contracts = configparser.ConfigParser(comment_prefixes="#")
    contracts.read(ROOT / ".importlinter")
    protected = {name for each in contracts.values() for name in each.get("protected_modules", "").split()}
    graph = grimp.build_graph("services", include_external_packages=True, cache_dir=None)
    libraries = {name for name in graph.modules if graph.is_module_squashed(name)} - sys.stdlib_module_names
    assert "aiokafka" in libraries
    assert libraries - protected == set()
