"""Which letters have been redriven already, by notes and later letters; and what a note holds."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.codec import decode
from services.contracts.redriven import Redriven
from services.contracts.topics import LETTER_REDRIVEN, PATHS_VERIFIED, QUESTION_ADMITTED, RECORD_COMPLETED
from services.deadletters.redrive import Letter, Lives, note, redrive
from tests.letters import letter, of
from tests.strategies import case, failed, path, wrong


class TestLives:
    def test_a_note_ends_its_letter_and_the_equal_ones(self) -> None:
        one, equal = of(case()), of(case(), offset=8)
        lives = Lives()
        assert not lives.begun(redrive(one).begins)
        lives.add_note(noted(one))
        assert lives.begun(redrive(one).begins)
        assert lives.begun(redrive(equal).begins)

    def test_a_later_life_that_died_can_be_redriven_and_an_earlier_one_not(self) -> None:
        first, second = of(case()), of(case(life=1), offset=9)
        lives = Lives()
        lives.add_letter(redrive(first).begins)
        assert not lives.begun(redrive(first).begins)
        lives.add_letter(redrive(second).begins)
        assert lives.begun(redrive(first).begins), "there is a second life, with or without a note"
        assert not lives.begun(redrive(second).begins)

    def test_an_unchanged_message_may_become_another_letter(self) -> None:
        first, again = letter(b"{}", RECORD_COMPLETED), letter(b"{}", RECORD_COMPLETED, offset=70)
        lives = Lives()
        lives.add_note(noted(first))
        assert lives.begun(redrive(first).begins)
        assert not lives.begun(redrive(again).begins)

    def test_an_unchanged_redrive_counts_for_newer_commands(self) -> None:
        dead = of(case())
        lives = Lives()
        lives.add_note(noted(letter(b'{"version": "2.0"}')))
        assert lives.begun(redrive(dead).begins)

    @given(dead=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=8))
    def test_only_the_latest_life_can_be_redriven(self, dead: list[tuple[int, bool]]) -> None:
        lives = Lives()
        for life, is_noted in dead:
            one = of(case(life=life), offset=life)
            lives.add_note(noted(one)) if is_noted else lives.add_letter(redrive(one).begins)
        latest = max((life + is_noted for life, is_noted in dead), default=0)
        for life in range(5):
            one = of(case(life=life), offset=life)
            assert lives.begun(redrive(one).begins) == (latest > life)


def noted(dead: Letter) -> Redriven:
    message = note(dead, redrive(dead))
    assert message.topic == LETTER_REDRIVEN
    said = decode(Redriven, message.value)
    assert message.key == said.what.encode()
    return said


def test_a_note_says_where_it_went() -> None:
    paths = [failed(path(case(), slot)) if slot < 3 else wrong(path(case(), slot)) for slot in range(9)]
    dead = of(case().with_(paths=tuple(paths)), kind="too_many_unknown")
    assert noted(dead).model_dump(exclude={"version"}) == {
        "what": case().work_id,
        "life": 1,
        "topic": PATHS_VERIFIED,
        "partition": 3,
        "offset": 7,
        "to": QUESTION_ADMITTED,
    }
