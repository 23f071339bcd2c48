"""Plugins: pytest's plugins, loaded once for all runs."""

from __future__ import annotations

import os
import sys


def preload(root: str) -> None:
    """Import pytest's plugins before the first fork, so that every fresh run finds them loaded. Of the project's own
    code nothing stays loaded, and pytest is told (in its own words) that the plugins' assertions stay as they are:
    it would warn of them, which ends a run whose warnings are errors."""
    import importlib
    import pkgutil

    import _pytest

    names = [f"_pytest.{module.name}" for module in pkgutil.iter_modules(_pytest.__path__)]
    try:
        from importlib.metadata import entry_points

        found = entry_points()
        group = found.select(group="pytest11") if hasattr(found, "select") else found.get("pytest11", ())
        names += [entry.value.partition(":")[0] for entry in group]
    except (ImportError, ValueError):
        pass
    before = set(sys.modules)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # a plugin that cannot be imported fails, or not, in pytest itself
            continue
    inside = os.path.realpath(root) + os.sep
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        path = getattr(module, "__file__", None)
        if (
            isinstance(path, str)
            and os.path.realpath(path).startswith(inside)
            and "site-packages" not in path
        ):
            del sys.modules[name]
        elif not name.startswith("_pytest"):
            try:
                module.__doc__ = (module.__doc__ or "") + "\nPYTEST_DONT_REWRITE"
            except (AttributeError, TypeError):
                continue
