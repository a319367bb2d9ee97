"""What has been worked out is used again for equal inputs of the same object, and forgotten in time."""

from cliproxy_operator.memo import Memo


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def test_a_value_is_used_again_for_the_same_object_and_equal_inputs() -> None:
    memo, work, spec = Memo(), Counting(), object()
    for _ in range(3):
        memo.begin()
        assert memo.of("validate", spec, [1], work) == 1
    assert memo.of("validate", spec, [2], work) == 2
    assert memo.of("validate", object(), [2], work) == 3
    assert memo.of("build", spec, [2], work) == 4


def test_what_two_compilations_did_not_ask_for_is_forgotten() -> None:
    memo, work, spec = Memo(), Counting(), object()
    memo.of("validate", spec, (), work)
    memo.begin()
    memo.begin()
    assert memo.of("validate", spec, (), work) == 2
