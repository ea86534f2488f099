"""`gemstead chat`: a conversation in the terminal. Ctrl-C stops a reply, not the conversation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from gemstead.app.conversation import Talker
    from gemstead.cli.reply import Reply
    from gemstead.core.progress import Progress
    from gemstead.core.types import Message
    from gemstead.settings.load import Loaded

HELP = """\
/model NAME    continue with another model      /clear        forget what was said
/system TEXT   set the system prompt            /save FILE    write the conversation as Markdown
/help          this list                        /quit         leave (or Ctrl-D)
Enter sends, Alt-Enter starts a new line, Ctrl-C stops a reply."""


def register(app: typer.Typer) -> None:
    app.command("chat")(chat)


def chat(
    model: options.Model = None,
    system: Annotated[str | None, typer.Option("--system", help="System prompt.")] = None,
    thinking: options.Thinking = None,
    context: options.Context = None,
    kv: options.Kv = None,
    fallback: options.Fallback = None,
    offline: options.Offline = None,
) -> None:
    """Talk with a model; /help lists the commands."""
    import asyncio

    from gemstead.cli.progress import shown_progress

    loaded = options.load(
        model__name=model,
        model__fallback=fallback,
        model__is_thinking=thinking,
        sources__is_offline=offline,
        **options.plan_flags(context, None, kv),
    )
    with shown_progress() as progress:
        asyncio.run(_converse(loaded, system, progress))


async def _converse(loaded: Loaded, system: str | None, progress: Progress) -> None:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        session = ChatSession(loaded, progress, stack)
        await session.open()
        session.system = system
        read_line = _line_reader(loaded.paths.chat_history)
        while True:
            try:
                line = await read_line()
            except EOFError:
                return
            except KeyboardInterrupt:
                continue
            if not await session.take(line):
                return


class ChatSession:
    """What was said, and who answers. Its commands change it; everything else is sent to the model."""

    def __init__(self, loaded: Loaded, progress: Progress, stack: AsyncExitStack) -> None:
        self._loaded = loaded
        self._progress = progress
        self._stack = stack
        self._talker: Talker | None = None
        self.system: str | None = None
        self.messages: list[Message] = []

    async def open(self, model: str | None = None) -> None:
        """Starts the model, or connects to it, then lets the one before go: a failure leaves all as it was."""
        from contextlib import AsyncExitStack

        from gemstead.app.conversation import open_talker
        from gemstead.cli.output import note

        loaded = self._loaded if model is None else options.with_model(self._loaded, model)
        opened = AsyncExitStack()
        talker = await opened.enter_async_context(open_talker(loaded, progress=self._progress, say=note))
        await self._stack.aclose()
        self._stack.push_async_callback(opened.aclose)
        self._talker, self._loaded = talker, loaded
        note(f"{talker.model}, context {talker.context_length} tokens. /help lists the commands.")

    async def take(self, line: str) -> bool:
        """One line of the user's; False ends the conversation."""
        from gemstead.cli.errors import print_error
        from gemstead.core.errors import GemsteadError

        command, _, rest = line.strip().partition(" ")
        if command in ("/quit", "/exit", "/bye"):
            return False
        try:
            if command.startswith("/"):
                await self._do(command, rest.strip())
            elif line.strip():
                await self._say(line)
        except GemsteadError as exc:
            print_error(exc)
        return True

    async def _do(self, command: str, rest: str) -> None:
        from gemstead.core.errors import NameUnknown

        commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "/model": self.open,
            "/system": self._set_system,
            "/save": self._save,
            "/clear": self._clear,
            "/help": self._help,
        }
        if command not in commands:
            raise NameUnknown("command", command, list(commands), hint="/help lists them")
        await commands[command](rest)

    async def _set_system(self, text: str) -> None:
        self.system = text or None

    async def _clear(self, _: str) -> None:
        self.messages.clear()

    async def _help(self, _: str) -> None:
        print(HELP)

    async def _save(self, name: str) -> None:
        from gemstead.core.errors import RequestInvalid

        if not name:
            raise RequestInvalid("no file named", hint="/save talk.md")
        text = "\n\n".join(f"**{message.role}**\n\n{message.text}" for message in self._all_messages())
        try:
            Path(name).expanduser().write_text(text + "\n", encoding="utf-8")  # noqa: ASYNC240  # a small file, nothing else waits
        except OSError as exc:
            raise RequestInvalid(f"cannot write {name}: {exc.strerror}", hint="/save another-file.md") from exc

    async def _say(self, text: str) -> None:
        """Sends the line; Ctrl-C stops the reply, and what came of it stays in the conversation."""
        import asyncio

        from gemstead.cli.reply import Reply, show_reply
        from gemstead.core.types import ChatRequest, Message, TextPart, Thinking

        assert self._talker is not None
        self.messages.append(Message(role="user", content=(TextPart(text),)))
        request = ChatRequest(
            model="",
            messages=tuple(self._all_messages()),
            thinking=Thinking(is_on=self._loaded.settings.model.is_thinking),
            is_stream=True,
        )
        reply = Reply()
        task = asyncio.create_task(show_reply(self._talker.chat(request), into=reply))
        try:
            await _stoppable(task)
        except BaseException:
            self.messages.pop()
            raise
        self.messages.append(Message(role="assistant", content=(TextPart(reply.text),)))

    def _all_messages(self) -> list[Message]:
        from gemstead.core.types import Message, TextPart

        first = [Message(role="system", content=(TextPart(self.system),))] if self.system else []
        return [*first, *self.messages]


async def _stoppable(task: asyncio.Task[Reply]) -> None:
    """Waits for the reply; the first Ctrl-C cancels it, and with it the generation in the engine."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await asyncio.wait([task])
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    if task.cancelled():
        print("\n[stopped]", file=sys.stderr)
    else:
        task.result()


def _line_reader(history: Path) -> Callable[[], Awaitable[str]]:
    """Reads one message: with history and Alt-Enter on a terminal, line by line from a pipe."""
    if not sys.stdin.isatty():
        return _read_piped
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()
    keys.add("enter")(lambda event: event.current_buffer.validate_and_handle())
    keys.add("escape", "enter")(lambda event: event.current_buffer.insert_text("\n"))
    history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    history.touch(mode=0o600)
    session: PromptSession[str] = PromptSession(history=FileHistory(str(history)), multiline=True, key_bindings=keys)

    async def read() -> str:
        line: str = await session.prompt_async("> ", prompt_continuation="  ")
        return line

    return read


async def _read_piped() -> str:
    import asyncio

    line: str = await asyncio.to_thread(sys.stdin.readline)
    if not line:
        raise EOFError
    return line
