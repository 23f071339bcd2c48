from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def programs_without_ripgrep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to every program of the system but ripgrep."""
    folder = tmp_path_factory.mktemp("bin")
    for place in ("/usr/local/bin", "/usr/bin", "/bin"):
        for program in Path(place).iterdir():
            if program.name != "rg" and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return folder


@pytest.fixture(params=["ripgrep", "git grep", "namespace"])
def tools(request: pytest.FixtureRequest, make, programs_without_ripgrep: Path):
    """Every test with ripgrep, with git's grep alone, and within walls."""
    if request.param == "namespace":
        return make("namespace")
    env = {"PATH": str(programs_without_ripgrep)} if request.param == "git grep" else {}
    bench = make("plain", env=env)
    has = "rg" in bench.ok("shell", command="command -v rg || true").split("\n")[-1]
    if request.param == "ripgrep" and not has:
        pytest.skip("ripgrep is not installed")
    assert has == (request.param == "ripgrep")
    return bench


def test_text(tools) -> None:
    text = tools.ok("search", query="shape.area()")
    assert text.split("\n") == ["1 match in 1 file", "pkg/shapes.py", "    17: return shape.area()"]
    assert "no match" in tools.ok("search", query="shape.area(x")
    assert "mode regex" in tools.ok("search", query="sha.*ea")


def test_definitions_and_sources_come_before_tests_and_documents(tools) -> None:
    text = tools.ok("search", query="area")
    order = [line for line in text.split("\n")[1:] if not line.startswith(" ")]
    assert order == ["pkg/shapes.py", "pkg/use.py", "tests/test_shapes.py", "docs/guide.md"]


def test_regex_path_glob_and_case(tools) -> None:
    assert "    12: def area" in tools.ok("search", query=r"def ar\w+\(self", mode="regex")
    assert "cannot be searched" in tools.refused("search", query="(", mode="regex")
    assert "tests/test_shapes.py" in tools.ok("search", query="area", path="tests")
    assert "pkg" not in tools.ok("search", query="area", path="tests")
    assert "pkg/use.py" not in tools.ok("search", query="area", path="pkg/shapes.py").replace(
        "pkg/shapes.py", ""
    )
    assert "docs/guide.md" in tools.ok("search", query="Square", glob="*.md")
    assert "pkg" not in tools.ok("search", query="Square", glob="*.md")
    assert "(ignoring case)" in tools.ok("search", query="sQUARE")
    assert "no match" not in tools.ok("search", query="SQUARE", ignoreCase=True)
    assert "does not exist" in tools.refused("search", query="x", path="nowhere")


@pytest.mark.parametrize("query", ["", "  ", "a\nb"])
def test_queries_that_are_none(tools, query: str) -> None:
    tools.refused("search", query=query)


@pytest.mark.parametrize(
    "query", ["-e", "--help", "$(id)", "`id`", "'", '"', "\\", "*", "é", "a" * 300, "--"]
)
def test_queries_that_a_shell_might_mistake(tools, query: str) -> None:
    tools.ok("writeFile", path="odd.txt", content=f"x {query} y\n")
    assert "odd.txt" in tools.ok("search", query=query)


def test_symbols_definitions_first(tools) -> None:
    lines = tools.ok("search", query="area", mode="symbol").split("\n")
    assert lines[0] == "2 definitions of area"
    assert lines[1].startswith("pkg/shapes.py:16-17: [area] def area(shape)")
    assert lines[2].startswith("pkg/shapes.py:12-13: [Square.area] def area(self, scale: int=1) -> float")
    assert "elsewhere" in lines[3]
    assert any("pkg/use.py" in line for line in lines[4:])
    only = tools.ok("search", query="Square.area", mode="symbol").split("\n")
    assert only[0] == "1 definition of Square.area"
    for query in ("shapes.area", "pkg.shapes.area", "area()"):
        assert "pkg/shapes.py:16-17" in tools.ok("search", query=query, mode="symbol")
    assert "SIDES = 4" in tools.ok("search", query="SIDES", mode="symbol")
    assert "  # A square." in tools.ok("search", query="Square", mode="symbol")
    assert "no definition or use" in tools.ok("search", query="nothing_like_it", mode="symbol")
    assert "is not a name" in tools.refused("search", query="a b", mode="symbol")


def test_symbols_of_files_that_do_not_parse_and_of_other_languages(tools) -> None:
    tools.ok("writeFile", path="old.py", content="print 'two'\ndef legacy(x):\n    pass\n")
    tools.ok("writeFile", path="a.js", content="export async function fetchAll(x) {\n}\n")
    assert "old.py:2-2: [legacy] def legacy(x):" in tools.ok("search", query="legacy", mode="symbol")
    assert "a.js:1-1" in tools.ok("search", query="fetchAll", mode="symbol")


def test_ignored_and_binary_files_and_git_are_left_out(tools) -> None:
    tools.ok("shell", command="echo needle-1 > x.log; printf 'needle-1\\0' > bin; echo needle-1 > .git/x")
    tools.ok("writeFile", path="seen.txt", content="needle-1\n")
    lines = tools.ok("search", query="needle-1").split("\n")
    assert [line for line in lines[1:] if not line.startswith(" ")] == ["seen.txt"]


def test_results_are_capped(tools) -> None:
    tools.ok(
        "shell",
        command="mkdir many; for i in $(seq 100); do yes 'the same needle' | head -50 > many/$i.txt; done",
    )
    text = tools.ok("search", query="needle")
    assert len(text) < 12_000
    assert "more in this file" in text
    assert "narrow with path or glob" in text
    tools.ok("writeFile", path="wide.min.js", content="x" * 100_000 + "haystack" + "y" * 100_000)
    assert len(tools.ok("search", query="haystack")) < 1000


def test_finding_files(tools) -> None:
    found = tools.ok("findFiles", pattern="shapes").split("\n")
    assert found == ["2 files match shapes", "pkg/shapes.py", "tests/test_shapes.py"]
    assert tools.ok("findFiles", pattern="*.toml").split("\n")[1:] == ["setup.toml"]
    assert tools.ok("findFiles", pattern="pkg/**/*.py").split("\n")[1:] == [
        "pkg/__init__.py", "pkg/shapes.py", "pkg/use.py"]  # fmt: skip
    assert tools.ok("findFiles", pattern="SHAPES", path="tests").split("\n")[1:] == ["tests/test_shapes.py"]
    assert "pkg/shapes.py" in tools.ok("findFiles", pattern="shpaes.py")
    assert "a b/with space.txt" in tools.ok("findFiles", pattern="with space.txt")
    tools.ok("shell", command="rm setup.toml; echo x > new.toml; echo x > new.log")
    assert tools.ok("findFiles", pattern="*.toml").split("\n")[1:] == ["new.toml"]
    assert "no file matches" in tools.ok("findFiles", pattern="*.log")
    assert "empty" in tools.refused("findFiles", pattern=" ")
    for pattern in ("[", "**", "-x", "a'b", ":(top)x"):
        tools.ok("findFiles", pattern=pattern)


def test_maps(tools) -> None:
    text = tools.ok("fileMap", path="pkg/shapes.py")
    assert text.split("\n") == [
        "pkg/shapes.py (17 lines)",
        "     3-3     SIDES = 4",
        "     6-13    class Square  # A square.",
        "     9-10        def __init__(self, side: float) -> None",
        "    12-13        def area(self, scale: int=1) -> float",
        "    16-17    def area(shape)",
    ]
    assert "# Guide" in tools.ok("fileMap", path="docs/guide.md")
    assert "def f(:" in tools.ok("fileMap", path="broken.py")
    assert "no definitions" in tools.ok("fileMap", path="crlf.txt")
    assert "shapes.py  Square, area" in tools.ok("fileMap", path="pkg")
    top = tools.ok("fileMap").split("\n")
    assert "pkg/  (3 files)" in top
    assert "run.sh" in top
    assert "binary" in tools.refused("fileMap", path="picture.png")
    assert "does not exist" in tools.refused("fileMap", path="nowhere")
