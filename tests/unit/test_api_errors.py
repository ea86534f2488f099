import pytest

from gemstead.api.asgi import build_api  # noqa: F401 (loads every error of the room)
from gemstead.api.errors import STATUS_OF_CODE, full_message, http_status, retry_after_s
from gemstead.core.errors import EngineBusy, EngineFailed, GemsteadError, Relayed, RequestInvalid


def every_kind(root: type[GemsteadError] = GemsteadError) -> set[type[GemsteadError]]:
    return {root}.union(*(every_kind(kind) for kind in root.__subclasses__()))


def test_every_error_code_has_a_status_of_its_own_kind() -> None:
    assert {kind.code for kind in every_kind()} - {Relayed.code} == set(STATUS_OF_CODE)
    for kind in every_kind() - {Relayed}:
        is_callers = kind.refuser in ("client", "guard", "quota") and kind.code not in (
            "setting_invalid",
            "interrupted",
        )
        assert (STATUS_OF_CODE[kind.code] < 500) == (is_callers or kind.code == "model_missing"), kind


def test_a_relayed_error_has_the_status_of_the_original() -> None:
    assert http_status(Relayed("context_overflow", "too long")) == 400
    assert http_status(Relayed("of another version", "new")) == 500


@pytest.mark.parametrize(
    ("error", "wait_s"), [(EngineBusy("b", retry_after_s=2), 2), (EngineFailed("f"), 5), (RequestInvalid("r"), None)]
)
def test_only_what_may_pass_says_when_to_try_again(error: GemsteadError, wait_s: float | None) -> None:
    assert retry_after_s(error) == wait_s


def test_the_message_says_what_why_and_what_to_do() -> None:
    assert full_message(GemsteadError("a", why="b", hint="c")) == "a: b (hint: c)"
    assert full_message(GemsteadError("a", hint="c")) == "a (hint: c)"
    assert full_message(GemsteadError("a")) == "a"
