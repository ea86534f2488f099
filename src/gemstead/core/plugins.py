"""Plugins are found by listing their folder and imported on use; others come by entry point; there is no list."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import TypeVar

from gemstead.core.errors import NameUnknown

P = TypeVar("P")


def plugin_names(package: str) -> list[str]:
    """The modules of `package` ("gemstead.engines.kinds") and its entry points, sorted; none is imported."""
    folder = importlib.import_module(package)
    inside = {info.name for info in pkgutil.iter_modules(folder.__path__)}
    return sorted(inside | {point.name for point in entry_points(group=package)})


def load_plugin(package: str, name: str, constant: str, kind: type[P]) -> P:
    """The `constant` ("ENGINE") that module `name` of `package` offers.

    Raises: NameUnknown if no such plugin exists; TypeError if its constant is not a `kind` (a bug of the plugin).
    """
    if name not in (known := plugin_names(package)):
        raise NameUnknown(constant.lower(), name, known)
    outside = {point.name: point for point in entry_points(group=package)}
    value = (
        outside[name].load()
        if name in outside
        else getattr(importlib.import_module(f"{package}.{name}"), constant, None)
    )
    if not isinstance(value, kind):
        raise TypeError(f"{package}.{name}: {constant} is not a {kind.__name__}")
    return value
