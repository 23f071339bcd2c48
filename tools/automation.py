"""automations: files of a patch that run elsewhere than in tests: on a forge's machines, or at a commit."""

from __future__ import annotations

import fnmatch
import re

_RUN = (
    ".github/workflows/*", ".github/actions/*", "action.yml", "action.yaml", ".gitlab-ci.yml", ".gitlab/ci/*",
    ".circleci/*", ".travis.yml", "azure-pipelines.yml", "azure-pipelines.yaml", ".azure-pipelines/*", "Jenkinsfile",
    ".buildkite/*", ".drone.yml", "bitbucket-pipelines.yml", ".woodpecker/*", ".woodpecker.yml", ".cirrus.yml",
    "appveyor.yml", ".appveyor.yml", ".pre-commit-config.yaml", ".husky/*", ".githooks/*", ".gitmodules",
    ".devcontainer/*", ".vscode/tasks.json", ".envrc", ".gitattributes",
)  # fmt: skip
_TARGET = re.compile(r"^diff --git .* \"?b/(.*?)\"?$", re.MULTILINE)


def automations(patch: str) -> tuple[str, ...]:
    """Paths that the patch adds or changes and that something runs or obeys without being asked."""
    paths = dict.fromkeys(_TARGET.findall(patch))
    return tuple(path for path in paths if any(fnmatch.fnmatchcase(path, pattern) for pattern in _RUN))
