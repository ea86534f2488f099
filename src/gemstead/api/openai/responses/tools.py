"""The tools of a Responses request and which of them the model may or must call: as in chat, one level flatter."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from gemstead.api.openai.tools import ToolName, find_tool, refuse_twins
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Tool, ToolChoice


class FunctionTool(msgspec.Struct, frozen=True, tag="function"):
    """`strict` None is true, as the API has it: arguments off the schema are never given out here anyway."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedFunction(msgspec.Struct, frozen=True, tag="function"):
    name: str


class AllowedTools(msgspec.Struct, frozen=True, tag="allowed_tools"):
    mode: Literal["auto", "required"]
    tools: tuple[NamedFunction, ...]


FunctionChoice: TypeAlias = Literal["none", "auto", "required"] | NamedFunction | AllowedTools


def refuse_other_tools(tools: Any) -> None:
    """Raises: RequestInvalid for the first tool that is no function: a vendor runs those, and nobody here does."""
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in (None, "function"):
            raise RequestInvalid(
                f"tools of type {str(kind)[:60]!r} are not offered",
                param=f"tools[{index}].type",
                why="the tools here are functions that the caller runs",
                hint="offer a function, or leave the tool out",
            )


def canonical_functions(tools: tuple[FunctionTool, ...]) -> tuple[Tool, ...]:
    """Raises: RequestInvalid if two tools have one name: a call could not say which it means."""
    refuse_twins([tool.name for tool in tools], "tools[{}].name")
    return tuple(
        Tool(
            name=tool.name,
            description=tool.description or "",
            parameters=tool.parameters or {},
            is_strict=tool.strict is not False,
        )
        for tool in tools
    )


def canonical_choice(choice: FunctionChoice | None, tools: tuple[Tool, ...]) -> tuple[ToolChoice, tuple[Tool, ...]]:
    """The choice, and the tools left to choose from: `allowed_tools` narrows them.

    Raises: RequestInvalid if it asks for a tool that is not offered.
    """
    match choice:
        case None:
            return ToolChoice(), tools
        case NamedFunction(name=name):
            find_tool(name, tools, "tool_choice.name")
            return ToolChoice("named", name), tools
        case AllowedTools():
            left = tuple(
                find_tool(tool.name, tools, f"tool_choice.tools[{index}].name")
                for index, tool in enumerate(choice.tools)
            )
            return ToolChoice(choice.mode), left
        case "required" if not tools:
            raise RequestInvalid("tool_choice is 'required' and no tools are given", param="tool_choice")
        case _:
            return ToolChoice(choice), tools
