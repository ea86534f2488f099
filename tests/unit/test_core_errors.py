import inspect

from gemstead.cli.errors import EXIT_CODES, code_of
from gemstead.core import errors
from gemstead.core.errors import GemsteadError, NameUnknown, Relayed


def every_error() -> list[type[GemsteadError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, GemsteadError) and kind not in (GemsteadError, Relayed)
    ]


def test_codes_are_unique_and_stable_words() -> None:
    codes = [kind.code for kind in every_error()]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


def test_every_error_has_an_exit_code_of_its_own_kind() -> None:
    for kind in every_error():
        assert any(issubclass(kind, listed) for listed, _ in EXIT_CODES), kind


def test_every_error_is_drawn_in_the_tree() -> None:
    for kind in every_error():
        assert kind.__name__ in (errors.__doc__ or "")


def test_an_error_outside_the_table_is_our_bug() -> None:
    assert code_of(GemsteadError("what")) == 1


def test_an_error_of_another_process_of_ours_keeps_its_exit_code() -> None:
    for kind in every_error():
        assert code_of(Relayed(kind.code, "what")) == next(c for listed, c in EXIT_CODES if issubclass(kind, listed))
    assert code_of(Relayed("no such code", "what")) == 1


def test_an_unknown_name_suggests_the_nearest_or_lists_what_is_known() -> None:
    near = NameUnknown("model", "gemma4:e2", ["gemma4:e2b", "smollm2:135m"])
    assert near.nearest == "gemma4:e2b"
    assert near.hint == "did you mean 'gemma4:e2b'?"
    far = NameUnknown("model", "xyz", ["gemma4:e2b"])
    assert far.nearest is None
    assert far.hint == "known: gemma4:e2b"
