"""Whose functions stand in other people's modules: a product that puts its own there may judge itself.

Runs under the repository's Python (3.6 or newer).
"""

import functools
import io
import os
import re
import sys
import types

_BOUND = (types.MethodType, classmethod, staticmethod)
_ROOTS = ("src", "lib", "python")
_OUTSIDE = " (from outside)"


class Guests:
    """`product` gives the path of a product's file, one that ends with "(from outside)" for code that is nobody's, and
    "" for all other. `prefix` is the repository's folder, `libraries` are folders of installed modules."""

    def __init__(self, prefix, libraries, product):
        self._prefix = prefix
        self._libraries = libraries
        self._product = product
        self._paths = {}
        self._kinds = {}
        """Kind of object → whether it may be a function: a look takes some milliseconds, and is taken often."""
        self._imported = {}

    def found(self):
        """Functions of products that stand in modules and classes of others, a line each."""
        found = set()
        for name, module in list(sys.modules.items()):
            if (
                not isinstance(module, types.ModuleType)
                or name == "__main__"
                or name.startswith("swe_agent_")
            ):
                continue
            home = file_of(module) or ""
            if home.startswith(self._prefix):
                continue
            for key, value in list(vars(module).items()):
                if is_a(value, type) and value.__module__ == name:
                    for part, inner in list(vars(value).items()):
                        if self._may_be_one(inner):
                            self._add(found, inner, name + "." + key + "." + part, home)
                elif self._may_be_one(value):
                    self._add(found, value, name + "." + key, home)
        return sorted(found)

    def _may_be_one(self, value):
        kind = type(value)
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = issubclass(kind, (types.FunctionType, functools.partial) + _BOUND)
        return known

    def _add(self, found, value, where, home):
        if is_a(value, _BOUND):
            value = value.__func__
        value = value.func if is_a(value, functools.partial) else value
        if is_a(value, types.FunctionType):
            name = value.__code__.co_filename
            if name.startswith("<"):
                name = value.__globals__.get("__file__") or name
            path = self._paths.get(name)
            if path is None:
                path = self._paths[name] = self._product(name)
            if path and not self._at_home(path, home):
                found.add("%s replaces %s" % (path, where))

    def _at_home(self, path, home):
        """Whether a function of `path` belongs in the module of the file `home`: what is nobody's stands in what is
        nobody's, or the installed module imports from the product by its own text, as one that is made for it."""
        if not home or not os.path.isabs(home):
            return False
        if path.endswith(_OUTSIDE):
            return not home.startswith(self._libraries)
        parts = [part for part in path.split("/") if part not in _ROOTS]
        package = parts[0].partition(".")[0] if parts else ""
        if not package.isidentifier() or package in getattr(sys, "stdlib_module_names", ()):
            return False
        if (home, package) not in self._imported:
            self._imported[home, package] = _imports(home, package)
        return self._imported[home, package]


def _imports(file, package):
    """Whether a source imports from a package."""
    try:
        with io.open(file, encoding="utf-8", errors="replace") as source:
            pattern = r"^\s*(from|import)\s+%s\b" % package
            return file.endswith(".py") and re.search(pattern, source.read(), re.MULTILINE) is not None
    except OSError:
        return False


def is_a(value, kinds):
    """isinstance without a word of the value's: proxies (werkzeug's) say what they stand for, or raise."""
    return issubclass(type(value), kinds)


def file_of(module):
    """Without asking the module: those that load late (six.moves) raise, and may load."""
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:
        return None
    return file if isinstance(file, str) else None
