"""Known ids: what was added is found, with its digest, whether merged or recent."""

from hypothesis import given
from hypothesis import strategies as st

from services.exporter import known as module
from services.exporter.known import Known

IDS = st.binary(min_size=16, max_size=16)
DIGESTS = st.integers(-(2**63), 2**63 - 1)


@given(held=st.dictionaries(IDS, DIGESTS, max_size=30), other=IDS, merge=st.integers(1, 8))
def test_it_is_a_map(held: dict[bytes, int], other: bytes, merge: int) -> None:
    by_short = {key[:8]: (key, digest) for key, digest in held.items()}
    before, module.MERGE = module.MERGE, merge
    try:
        known = Known()
        loaded = dict(list(by_short.values())[::2])
        known.load(loaded.keys(), loaded.values())
        known.loaded()
        for key, digest in list(by_short.values())[1::2]:
            known.add(key, digest)
        assert [known.get(key) for key, _ in by_short.values()] == [digest for _, digest in by_short.values()]
        assert len(known) == len(by_short)
        if other[:8] not in by_short:
            assert known.get(other) is None
    finally:
        module.MERGE = before
