"""The contract's examples, each as what it is."""

from typing import TypeVar

from services.contracts.base import Value
from services.contracts.case import Case
from services.contracts.record import Record
from services.contracts.refused import Refused
from services.protogen.examples import examples

V = TypeVar("V", bound=Value)


def _example(name: str, kind: type[V]) -> V:
    value = examples()[name]
    assert isinstance(value, kind)
    return value


CASE = _example("case", Case)
RECORD = _example("record", Record)
REFUSED = _example("refused", Refused)
