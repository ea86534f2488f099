import pytest

from door_fakes import FakeEngine, ask
from gemstead.core.errors import ContextOverflow
from gemstead.core.types import ImagePart, Message, Sampling, TextPart, Tool
from gemstead.pipeline.context import check_context, most_prompt_tokens


async def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers() -> None:
    engine = FakeEngine(context_length=100, num_tokens=100)
    with pytest.raises(ContextOverflow, match=r"100 tokens and the context length is 100") as caught:
        await check_context(engine, ask())
    assert (caught.value.prompt_tokens, caught.value.context_length) == (100, 100)
    assert caught.value.hint


async def test_one_token_of_room_is_enough() -> None:
    assert await check_context(FakeEngine(context_length=100, num_tokens=99), ask()) == ()


async def test_an_answer_that_will_be_cut_short_is_warned_about() -> None:
    engine = FakeEngine(context_length=100, num_tokens=80)
    (warning,) = await check_context(engine, ask(sampling=Sampling(max_tokens=21)))
    assert warning.param == "max_tokens"
    assert "only 20 fit" in warning.message
    assert await check_context(engine, ask(sampling=Sampling(max_tokens=20))) == ()


async def test_a_short_prompt_is_not_counted_and_a_long_one_is() -> None:
    engine = FakeEngine(context_length=4096)
    await check_context(engine, ask("hi"))
    assert engine.counted == []
    await check_context(engine, ask("x" * 4000))
    assert len(engine.counted) == 1


async def test_a_short_prompt_is_counted_if_the_answer_may_be_long() -> None:
    engine = FakeEngine(context_length=4096)
    await check_context(engine, ask("hi", sampling=Sampling(max_tokens=4000)))
    assert len(engine.counted) == 1


async def test_pictures_are_always_counted() -> None:
    request = ask()
    picture = Message("user", (TextPart("what is it?"), ImagePart(b"png", "image/png")))
    engine = FakeEngine()
    await check_context(engine, type(request)(model="fake", messages=(picture,)))
    assert len(engine.counted) == 1


@pytest.mark.parametrize("text", ["", "plain", "käse", "日本語", "🏔" * 10, "\x00" * 50])
def test_the_bound_is_never_below_one_token_a_byte(text: str) -> None:
    bound = most_prompt_tokens(ask(text))
    assert bound is not None
    assert bound >= len(text.encode()) + 32


def test_tools_count_towards_the_bound() -> None:
    tool = Tool("look", "x" * 1000)
    plain, offered = most_prompt_tokens(ask()), most_prompt_tokens(ask(tools=(tool,)))
    assert plain is not None
    assert offered is not None
    assert offered - plain >= 1000
