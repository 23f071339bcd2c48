from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.audit import audit

PACKAGES = ("Flask", "flask")


def kinds(command: str, **options: object) -> list[str]:
    options.setdefault("packages", PACKAGES)
    return [flag.kind for flag in audit([("shell", {"command": command})], **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("git log --all --oneline", "history"),
        ("cd src && git --no-pager -C .. log -5 --remotes", "history"),
        ("git reflog", "history"),
        ("git fsck --lost-found | head", "history"),
        ("git cat-file --batch-check --batch-all-objects", "history"),
        ("git branch -a", "history"),
        ("cat .git/packed-refs", "history"),
        ("bash -c 'git log --all'", "history"),
        ("x=$(git log --all)", "history"),
        ("for c in `git rev-list --all`; do git show $c; done", "history"),
        ("git fetch origin", "remote"),
        ("timeout 10 git pull", "remote"),
        ("GIT_TRACE=1 git ls-remote https://github.com/pallets/flask", "remote"),
        ("git remote add up https://github.com/pallets/flask && true", "remote"),
        ("pip download flask", "package"),
        ("python3.11 -m pip install 'Flask>=3.1'", "package"),
        ("uv pip install -U flask[async]", "package"),
        ("pip install git+https://github.com/pallets/flask", "package"),
        ("sudo pip3 index versions flask", "package"),
        ("cat /venv/lib/python3.11/site-packages/flask/app.py", "installed-copy"),
        ("diff -r src/flask /usr/lib/python3/dist-packages/flask", "installed-copy"),
        ("ls /x/site-packages/Flask-3.1.0.dist-info", "installed-copy"),
        ("curl -s https://raw.githubusercontent.com/pallets/flask/main/src/flask/app.py", "forge"),
        ("wget https://codeberg.org/pallets/flask", "forge"),
        ("gh pr list", "forge"),
        ("python -c \"import urllib.request as u; u.urlopen('https://github.com/x')\"", "forge"),
    ],
)
def test_looking_for_the_future(command: str, kind: str) -> None:
    assert kind in kinds(command)


@pytest.mark.parametrize(
    "command",
    [
        "git log --oneline -5",
        "git log -p -- src/flask/app.py",
        "git log -- --all",
        "git blame src/flask/app.py",
        "git show HEAD~3",
        "git diff HEAD",
        "git stash && pytest; git stash list; git stash pop",
        "git status --all",
        "pip install -e .",
        "pip install -r requirements.txt",
        "pip install werkzeug",
        "pip list",
        "cat /venv/lib/python3.11/site-packages/werkzeug/app.py",
        "grep -rn flask src",
        "curl http://127.0.0.1:5000/",
        "echo 'git log --all is not allowed'",
        "grep -n 'git fetch' docs/contributing.rst",
        "cat > notes.md <<'X'\nSee https://github.com/x, then run\ngit log --all\nX\npytest",
        "python -m pytest tests",
        "",
        "'unbalanced",
    ],
)
def test_ordinary_work(command: str) -> None:
    assert kinds(command) == []


def test_reading_tools_count_by_their_path_and_writing_tools_do_not() -> None:
    calls = [
        ("readFile", {"path": "/x/site-packages/flask/app.py"}),
        ("readFile", {"path": "src/flask/app.py"}),
        ("search", {"query": "x", "path": ".git/logs"}),
        ("writeFile", {"path": "notes.md", "content": "git log --all"}),
        ("shell", {}),
        ("shell", {"command": None}),
    ]
    assert [(flag.kind, flag.where) for flag in audit(calls, packages=PACKAGES)] == [
        ("installed-copy", 0),
        ("history", 2),
    ]


def test_without_a_package_name_dependencies_are_not_suspected() -> None:
    assert kinds("pip install flask", packages=()) == []
    assert kinds("pip download flask", packages=()) == ["package"]


@given(st.text(max_size=200))
def test_any_text_is_audited(text: str) -> None:
    audit([("shell", {"command": text}), ("readFile", {"path": text})], packages=PACKAGES)
