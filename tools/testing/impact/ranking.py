"""Impact: the test files of a commit in the order in which a change, or an issue's words, can concern them.

Nothing is run. Each clue gives a test file a score in [0, 1]; clues that single out few files say more than
clues that many share (inverse document frequency, Sparck Jones 1972). The weights were fitted on rows rebuilt
from the histories of seven public repositories and checked on other rows of theirs (`bench/verdict.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from ..test_files import is_test_file
from .change import Change
from .co_change import CoChange
from .collected import collected
from .fact_cache import FactCache
from .facts import FileFacts, facts_of
from .import_graph import ImportGraph
from .paths import PLACES, is_of_another_language, named_test, path_words, stem_of_path
from .source_tree import SourceTree
from .words import stems_of

_DATA = frozenset(
    {"functional", "data", "fixtures", "roots", "input", "samples", "resources", "regrtest_data"}
)
"""Folders below tests that hold what tests read; a file there is a test only if it is called one."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each clue counts."""

    name: float = 0.3
    path: float = 0.7
    folder: float = 0.2
    imports: float = 0.65
    names: float = 0.6
    history: float = 10.0
    issue: float = 0.75
    issue_path: float = 0.7
    issue_source: float = 0.25


@dataclass(frozen=True, slots=True)
class Ranked:
    """A test file, and how near it is."""

    path: str
    score: float
    clues: Mapping[str, float] = field(default_factory=dict[str, float])


_Clue = Callable[[str], dict[str, float]]


class Impact:
    """Of one commit. Making one reads the tree (about a second for ten megabytes; from the cache less)."""

    def __init__(self, tree: SourceTree, cache: Path | None = None, weights: Weights | None = None) -> None:
        self.tree = tree
        self._cache = FactCache(cache)
        self._weights = weights or Weights()
        self._histories: dict[frozenset[str], CoChange] = {}

    @cached_property
    def facts(self) -> dict[str, FileFacts]:
        """Python file → its facts. Raises: RepositoryError."""
        blobs = {path: blob for path, blob in self.tree.blobs.items() if path.endswith(".py")}
        known = self._cache.read(blobs.values())
        fresh = {
            blob: facts_of(text)
            for blob, text in self.tree.texts(blob for blob in blobs.values() if blob not in known)
        }
        self._cache.write(fresh)
        known |= fresh
        return {path: known.get(blob, FileFacts()) for path, blob in blobs.items()}

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """Files that hold tests, sorted."""
        facts = self.facts
        among = [
            path
            for path in self.tree.blobs
            if is_test_file(path)
            and PurePosixPath(path).name not in ("conftest.py", "__init__.py")
            and not (_DATA & set(PurePosixPath(path).parts[:-1]) and not named_test(path))
        ]
        python = collected([path for path in among if path.endswith(".py") and facts[path].tests], self.tree)
        return tuple(sorted([*python, *filter(is_of_another_language, among)]))

    @cached_property
    def graph(self) -> ImportGraph:
        return ImportGraph(self.facts)

    def rank(self, change: Change) -> list[Ranked]:
        """Every test file, the nearest first."""
        clues = {
            "name": self._each(change, self._same_name),
            "path": self._each(change, self._path_words),
            "folder": self._each(change, self._folder),
            "imports": self._each(change, self._imports),
            "history": self._history(change),
            "names": self._mentions(change.names, 4),
            "issue": self._mentions(change.words, 8),
            "issue_path": self._issue_paths(change.words),
            "issue_source": self._issue_sources(change),
        }
        weight = {name: getattr(self._weights, name) for name in clues}
        ranked: list[Ranked] = []
        for test in self.tests:
            found = {name: scores[test] for name, scores in clues.items() if scores.get(test)}
            score = sum(weight[name] * value for name, value in found.items())
            if test in change.files:
                score += 100.0
            ranked.append(Ranked(test, score, found))
        return sorted(ranked, key=lambda item: (-item.score, item.path))

    def reaching(self, change: Change) -> frozenset[str]:
        """Test files that load a changed file, directly or not; a file that no Python imports can be reached
        by none or by all, and is not counted."""
        known = [path for path in change.files if path in self.facts]
        return frozenset(self.graph.reaching(known) & set(self.tests)) | (set(self.tests) & set(change.files))

    def rarity(self, stem: str) -> float:
        """How telling a stem (see `words`) is: 1 where one file of the repository has it, 0 where all or none do."""
        count = self._stem_holders.get(stem, 0)
        total = max(len(self.facts), 2)
        return math.log((total + 1) / count) / math.log(total + 1) if count else 0.0

    def _each(self, change: Change, clue: _Clue) -> dict[str, float]:
        found: dict[str, float] = {}
        for path, share in change.files.items():
            for test, score in clue(path).items():
                found[test] = found.get(test, 0.0) + share * score
        return found

    def _same_name(self, path: str) -> dict[str, float]:
        stem = stem_of_path(path)
        if not stem:
            return {}
        same = [test for test in self.tests if self._stems[test] == stem]
        starting = [test for test in self.tests if self._stems[test].startswith(f"{stem}_")]
        return dict.fromkeys(starting, 0.7) | dict.fromkeys(same, 1.0)

    def _path_words(self, path: str) -> dict[str, float]:
        """How much of the words of the source's path the test's path has, and the other way round."""
        wanted = path_words(path)
        return self._overlap(dict.fromkeys(wanted, 0.6) | dict.fromkeys(path_words(stem_of_path(path)), 1.0))

    def _overlap(self, wanted: Mapping[str, float]) -> dict[str, float]:
        found: dict[str, float] = {}
        total = sum(weight * self._path_rarity(word) for word, weight in wanted.items())
        for test in self.tests if total else ():
            words = self._words_in_path[test]
            shared = sum(weight * self._path_rarity(word) for word, weight in wanted.items() if word in words)
            if shared:
                own = sum(self._path_rarity(word) for word in words)
                found[test] = shared / math.sqrt(total * max(own, 1e-9))
        return found

    def _folder(self, path: str) -> dict[str, float]:
        source = [part for part in PurePosixPath(path).parts[:-1] if part not in PLACES]
        found: dict[str, float] = {}
        for test in self.tests if source else ():
            folders = [part for part in PurePosixPath(test).parts[:-1] if part not in PLACES]
            shared = 0
            for a, b in zip(source, folders, strict=False):
                if a != b:
                    break
                shared += 1
            if shared:
                found[test] = shared / max(len(source), len(folders))
        return found

    def _imports(self, path: str) -> dict[str, float]:
        distance = self.graph.distances([path]) if path in self.facts else {}
        rings = Counter(distance[test] for test in self.tests if test in distance)
        found: dict[str, float] = {}
        inside, value = 0, dict[int, float]()
        for ring in sorted(rings):
            inside += rings[ring]
            value[ring] = self._rarity(inside) * (0.9 ** max(0, ring - 1))
        for test in self.tests:
            if test in distance:
                found[test] = value[distance[test]]
        return found

    def _history(self, change: Change) -> dict[str, float]:
        asked = frozenset(path for path in change.files if path in self.tree.blobs)
        if asked not in self._histories:
            self._histories[asked] = CoChange.of(self.tree, asked)
        past = self._histories[asked]
        return self._each(change, lambda path: past.with_path(path, self.tests))

    def _mentions(self, words: Mapping[str, float], most: int) -> dict[str, float]:
        """Test files that speak of the words; the `most` rarest of what each has count."""
        hits: dict[str, list[float]] = {}
        for word, weight in words.items():
            holders = self._holders.get(word, ())
            rarity = self._rarity(len(holders))
            for test in holders:
                hits.setdefault(test, []).append(weight * rarity)
        top = {test: sum(sorted(values, reverse=True)[:most]) for test, values in hits.items()}
        greatest = max(top.values(), default=0.0)
        return {test: value / max(greatest, 1.0) for test, value in top.items()}

    def _issue_paths(self, words: Mapping[str, float]) -> dict[str, float]:
        wanted: dict[str, float] = {}
        for word, weight in words.items():
            for part in path_words(word):
                wanted[part] = max(wanted.get(part, 0.0), weight)
        known = {word: weight for word, weight in wanted.items() if word in self._path_holders}
        return self._overlap(known)

    def _issue_sources(self, change: Change) -> dict[str, float]:
        """Tests of the sources that define what the issue names: all there is before there is a patch."""
        if change.files:
            return {}
        scores: dict[str, float] = {}
        for word, weight in change.words.items():
            sources = self._definers.get(word, ())
            if 0 < len(sources) <= 5:
                for path in sources:
                    scores[path] = scores.get(path, 0.0) + weight / len(sources)
            for path in self._sources_called.get(word, ()):
                scores[path] = scores.get(path, 0.0) + weight / 2
        best = sorted(scores, key=lambda path: (-scores[path], path))[:3]
        if not best:
            return {}
        guess = Change({path: scores[path] / scores[best[0]] for path in best})
        parts = [self._each(guess, clue) for clue in (self._same_name, self._path_words, self._imports)]
        parts.append(self._history(guess))
        found: dict[str, float] = {}
        for part in parts:
            for test, score in part.items():
                found[test] = found.get(test, 0.0) + score
        return found

    @cached_property
    def _stems(self) -> dict[str, str]:
        return {test: stem_of_path(test) for test in self.tests}

    @cached_property
    def _words_in_path(self) -> dict[str, frozenset[str]]:
        return {test: path_words(test) for test in self.tests}

    @cached_property
    def _path_holders(self) -> Counter[str]:
        return Counter(word for words in self._words_in_path.values() for word in words)

    @cached_property
    def _holders(self) -> dict[str, list[str]]:
        """Word → test files that hold it."""
        holders: dict[str, list[str]] = {}
        for test in self.tests:
            for word in self.facts[test].words if test in self.facts else ():
                holders.setdefault(word, []).append(test)
        return holders

    @cached_property
    def _stem_holders(self) -> Counter[str]:
        """Stem → files whose path, tests or definitions have it."""
        found: Counter[str] = Counter()
        for path, facts in self.facts.items():
            found.update(stems_of(" ".join((path, *facts.words, *facts.defines, *facts.members))))
        return found

    @cached_property
    def _definers(self) -> dict[str, list[str]]:
        """Name → sources that define it."""
        found: dict[str, list[str]] = {}
        for path in self._sources:
            facts = self.facts[path]
            for name in facts.defines | facts.members:
                found.setdefault(name, []).append(path)
        return found

    @cached_property
    def _sources_called(self) -> dict[str, list[str]]:
        """Stem → sources of that name."""
        found: dict[str, list[str]] = {}
        for path in self._sources:
            found.setdefault(stem_of_path(path), []).append(path)
        return {stem: paths for stem, paths in found.items() if stem and len(paths) <= 3}

    @cached_property
    def _sources(self) -> list[str]:
        return [path for path in self.facts if not is_test_file(path)]

    def _rarity(self, count: int) -> float:
        """1 for what one test file has, 0 for what all have."""
        total = len(self.tests)
        return math.log((total + 1) / max(1, count)) / math.log(total + 1) if total else 0.0

    def _path_rarity(self, word: str) -> float:
        return self._rarity(self._path_holders.get(word, 0) or 1)
