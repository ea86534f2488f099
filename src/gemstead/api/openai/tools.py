"""The tools of a chat request and which of them the model may or must call."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Tool, ToolChoice

ToolName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
"""Wider than OpenAI's own (64, no dot): tool servers use dots, and no engine here minds."""


class Function(msgspec.Struct, frozen=True):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class OpenAITool(msgspec.Struct, frozen=True, tag="function"):
    function: Function


class FunctionName(msgspec.Struct, frozen=True):
    name: str


class NamedChoice(msgspec.Struct, frozen=True, tag="function"):
    function: FunctionName


class AllowedTools(msgspec.Struct, frozen=True):
    mode: Literal["auto", "required"]
    tools: list[NamedChoice]


class AllowedChoice(msgspec.Struct, frozen=True, tag="allowed_tools"):
    allowed_tools: AllowedTools


OpenAIToolChoice: TypeAlias = Literal["none", "auto", "required"] | NamedChoice | AllowedChoice


def canonical_tools(tools: list[OpenAITool]) -> tuple[Tool, ...]:
    """Raises: RequestInvalid if two tools have one name: a call could not say which it means."""
    refuse_twins([tool.function.name for tool in tools], "tools[{}].function.name")
    return tuple(
        Tool(
            name=tool.function.name,
            description=tool.function.description or "",
            parameters=tool.function.parameters or {},
            is_strict=bool(tool.function.strict),
        )
        for tool in tools
    )


def canonical_tool_choice(
    choice: OpenAIToolChoice | None, tools: tuple[Tool, ...]
) -> tuple[ToolChoice, tuple[Tool, ...]]:
    """The choice, and the tools left to choose from: `allowed_tools` narrows them.

    Raises: RequestInvalid if it asks for a tool that is not offered.
    """
    match choice:
        case None:
            return ToolChoice(), tools
        case NamedChoice(function=function):
            find_tool(function.name, tools, "tool_choice.function.name")
            return ToolChoice("named", function.name), tools
        case AllowedChoice(allowed_tools=allowed):
            left = tuple(
                find_tool(tool.function.name, tools, f"tool_choice.allowed_tools.tools[{index}]")
                for index, tool in enumerate(allowed.tools)
            )
            return ToolChoice(allowed.mode), left
        case "required" if not tools:
            raise RequestInvalid("tool_choice is 'required' and no tools are given", param="tool_choice")
        case _:
            return ToolChoice(choice), tools


def refuse_twins(names: list[str], path: str) -> None:
    """`path` says with `{}` where each name stands. Raises: RequestInvalid at the first name that came before."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise RequestInvalid(f"two tools are named {name!r}", param=path.format(index))
        seen.add(name)


def find_tool(name: str, tools: tuple[Tool, ...], path: str) -> Tool:
    """Raises: RequestInvalid if no tool has that name."""
    for tool in tools:
        if tool.name == name:
            return tool
    offered = ", ".join(tool.name for tool in tools) or "none"
    raise RequestInvalid(f"{name[:128]!r} is not among the tools", param=path, hint=f"offered: {offered}")
