"""An owner's name is read back as it was built."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.owner import Owner
from services.runtime.process.running import own_name

parts = st.text("abc019.", min_size=1, max_size=8)
hosts = st.lists(parts, min_size=1, max_size=4).map("-".join)


@given(host=hosts, service=parts, pid=st.integers(1, 2**22), nonce=st.text("0123456789abcdef", min_size=8, max_size=8))
def test_a_name_is_read_back(host: str, service: str, pid: int, nonce: str) -> None:
    owner = Owner(host, service, pid, nonce)
    assert Owner.parse(str(owner)) == owner


def test_the_form_is_that_of_1_0() -> None:
    assert str(Owner("pod-a", "verifier", 17, "0a1b2c3d")) == "pod-a-verifier-17-0a1b2c3d"


@pytest.mark.parametrize("text", ["", "odd", "a-b-c", "host-verifier-pid-00"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST-SERVICE-PID-NONCE"):
        Owner.parse(text)


def test_no_process_has_the_name_of_another() -> None:
    one, other = own_name("router", "pod"), own_name("router", "pod")
    assert (one.host, one.service, one.pid) == (other.host, other.service, other.pid)
    assert one.nonce != other.nonce
