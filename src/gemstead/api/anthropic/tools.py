"""The tools of a request as Anthropic writes them, and which of them the model may or must use."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gemstead.api.anthropic.blocks import CacheControl
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Tool, ToolChoice

ToolName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
"""Wider than Anthropic's own (no dot): tool servers use dots, and no engine here minds."""


class CustomTool(msgspec.Struct, frozen=True):
    """`eager_input_streaming` and `allowed_callers` change nothing here: only the model itself calls tools."""

    name: ToolName
    input_schema: dict[str, Any]
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    input_examples: list[dict[str, Any]] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[str] | None = None


class AutoChoice(msgspec.Struct, frozen=True, tag="auto"):
    disable_parallel_tool_use: bool | None = None


class AnyChoice(msgspec.Struct, frozen=True, tag="any"):
    disable_parallel_tool_use: bool | None = None


class NamedChoice(msgspec.Struct, frozen=True, tag="tool"):
    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(msgspec.Struct, frozen=True, tag="none"):
    pass


AnthropicToolChoice: TypeAlias = AutoChoice | AnyChoice | NamedChoice | NoChoice


def refuse_vendor_tools(tools: object) -> None:
    """Raises: RequestInvalid naming the first tool whose type is not the caller's own to define."""
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "custom":
            raise RequestInvalid(
                f"tools of type {kind[:60]!r} are not supported",
                param=f"tools[{index}].type",
                why="their schema, and often the server that runs them, is a vendor's own",
                hint="send a tool with name, description and input_schema",
            )


def canonical_tools(tools: list[CustomTool]) -> tuple[Tool, ...]:
    """Raises: RequestInvalid if two tools have one name: a call could not say which it means."""
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in names:
            raise RequestInvalid(f"two tools are named {tool.name!r}", param=f"tools[{index}].name")
        names.add(tool.name)
    return tuple(Tool(tool.name, tool.description or "", tool.input_schema, bool(tool.strict)) for tool in tools)


def canonical_tool_choice(choice: AnthropicToolChoice | None, tools: tuple[Tool, ...]) -> ToolChoice:
    """Raises: RequestInvalid if it asks for a tool that is not offered."""
    match choice:
        case AnyChoice() if not tools:
            raise RequestInvalid("tool_choice is 'any' and no tools are given", param="tool_choice")
        case AnyChoice():
            return ToolChoice("required")
        case NamedChoice(name=name):
            if all(tool.name != name for tool in tools):
                offered = ", ".join(tool.name for tool in tools) or "none"
                raise RequestInvalid(
                    f"{name[:128]!r} is not among the tools", param="tool_choice.name", hint=f"offered: {offered}"
                )
            return ToolChoice("named", name)
        case NoChoice():
            return ToolChoice("none")
        case _:
            return ToolChoice()


def is_parallel(choice: AnthropicToolChoice | None) -> bool:
    return isinstance(choice, NoChoice | None) or not choice.disable_parallel_tool_use
