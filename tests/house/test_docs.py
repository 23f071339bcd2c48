"""The documentation: it builds without a warning, and README names nothing that is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from swe_agent.orchestrator.cli.app import COMMANDS, command_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", str(ROOT / "mkdocs.yml"), "-d", str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "search/search_index.json").exists()
    assert "https://fonts" not in (tmp_path / "index.html").read_text()


def test_every_command_and_flag_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"^swe-agent (\w+)(.*?)(?:  #.*)?$", text, re.MULTILINE)
    assert len(lines) >= 7
    for name, rest in lines:
        assert name in COMMANDS, name
        known = {
            option for param in command_of(name).params for option in (*param.opts, *param.secondary_opts)
        }
        children = getattr(command_of(name), "commands", {})
        known |= {option for child in children.values() for param in child.params for option in param.opts}
        for flag in re.findall(r"(?<= )--?[a-z][\w-]*", rest):
            assert flag in known, f"{name} {flag}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_code_on_the_pages_of_plugins_is_that_of_the_example() -> None:
    """The example is installed and used by tests; a page that quotes it word for word is right as well."""
    example = ROOT / "examples/plugin/repo"
    sources = {
        "python": (example / "swe_agent_lines.py").read_text(),
        "toml": "".join((example / name).read_text() for name in ("pyproject.toml", "roles.toml")),
    }
    pages = [ROOT / "docs/plugins.md", *sorted((ROOT / "docs/plugins").glob("*.md"))]
    assert len(pages) == 6
    for page in pages:
        blocks = re.findall(r"^```(python|toml)\n(.*?)^```", page.read_text(), re.M | re.S)
        assert blocks, page.name
        for language, text in blocks:
            assert text.strip() in sources[language], (page.name, text)
