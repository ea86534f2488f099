"""`gemstead run`: one prompt, one answer, streamed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.core.types import ChatRequest
    from gemstead.settings.load import Loaded

MAX_STDIN_CHARS = 8_000_000
"""More text than the longest context holds; what is longer is refused by its size before it is read whole."""


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    prompt: Annotated[
        str | None, typer.Argument(help="What to ask. Text on stdin is added below it as context.")
    ] = None,
    model: options.Model = None,
    system: Annotated[str | None, typer.Option("--system", help="System prompt.")] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="Most tokens to generate.")] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", min=0.0, max=2.0)] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", min=0.0, max=1.0)] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", min=0)] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed, same answer, on the same machine.")] = None,
    thinking: options.Thinking = None,
    context: options.Context = None,
    kv: options.Kv = None,
    speculation: options.Speculation = None,
    tuned: options.Tuned = None,
    fallback: options.Fallback = None,
    offline: options.Offline = None,
    accept_licence: options.AcceptLicence = False,
    json: options.Json = False,
) -> int:
    """Ask once and print the answer; uses a running server if one has the model."""
    import asyncio

    from gemstead.core.errors import RequestInvalid
    from gemstead.core.types import ChatRequest, Message, Sampling, TextPart, Thinking

    text = "\n\n".join(part for part in (prompt, _stdin_text()) if part)
    if not text.strip():
        raise RequestInvalid("there is nothing to ask", hint='gemstead run "Why is the sky blue?"')
    loaded = options.load(
        model__name=model,
        model__fallback=fallback,
        model__is_thinking=thinking,
        sources__is_offline=offline,
        **options.plan_flags(context, None, kv),
        **options.tuned_flags(tuned, speculation),
    )
    messages = [Message(role="system", content=(TextPart(system),))] if system else []
    messages.append(Message(role="user", content=(TextPart(text),)))
    request = ChatRequest(
        model="",
        messages=tuple(messages),
        sampling=Sampling(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed, max_tokens=max_tokens),
        thinking=Thinking(is_on=loaded.settings.model.is_thinking),
        is_stream=True,
    )
    return asyncio.run(_answer(loaded, request, is_json=json, has_accepted_licence=accept_licence))


def _stdin_text() -> str:
    """What is piped in; nothing from a terminal, or from a stdin that is closed or only inherited and silent."""
    from gemstead.core.errors import RequestInvalid

    if sys.stdin is None or sys.stdin.isatty() or not _has_input():
        return ""
    try:
        text = sys.stdin.read(MAX_STDIN_CHARS + 1)
    except UnicodeDecodeError as exc:
        raise RequestInvalid("what comes on stdin is not UTF-8 text") from exc
    if len(text) > MAX_STDIN_CHARS:
        raise RequestInvalid(f"stdin holds more than {MAX_STDIN_CHARS:,} characters, more than any context")
    return text


def _has_input() -> bool:
    """True for a file or a pipe; False for /dev/null and the like."""
    import os
    import stat

    mode = os.fstat(sys.stdin.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


async def _answer(loaded: Loaded, request: ChatRequest, *, is_json: bool, has_accepted_licence: bool) -> int:
    from gemstead.app.conversation import open_talker
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress
    from gemstead.cli.reply import closing_line, show_reply

    with shown_progress() as progress:
        async with open_talker(
            loaded, progress=progress, say=note, has_accepted_licence=has_accepted_licence
        ) as talker:
            reply = await show_reply(talker.chat(request), is_shown=not is_json)
    if is_json:
        print_json("reply/1", reply.as_json(talker.model))
    else:
        note(closing_line(reply, talker.model))
    return 0
