"""Pages in a real browser: no page is wider than its window, nothing hostile runs, nothing is asked of anybody else;
what runs is shown live; the server gives nothing but pages, and only to who knows its word."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages.hostile import AT, WORDS, write_batch, write_run

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.grading.report import read_verdicts
from swe_agent.orchestrator.grading.statistics import compare_paired
from swe_agent.orchestrator.pages.server import PageServer
from swe_agent.orchestrator.pages.steps import blocks_of
from swe_agent.orchestrator.pages.timeline import Span, timeline
from swe_agent.orchestrator.solving.run_directory import RunDirectory
from swe_agent.prompts import untrusted

PAGES = ("", "run/", "live/", "batch-a/?with=batch-b", "batch-a/instances/acme__calc-0/")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write_run(root / "run")
    write_run(root / "live", running=True)
    write_batch(root / "batch-a")
    write_batch(root / "batch-b", better=True)
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[PageServer]:
    with PageServer(root) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def watched(page: Any) -> list[str]:
    """What must not happen on a page, as it happens."""
    seen: list[str] = []
    page.on("pageerror", lambda error: seen.append(f"error: {error}"))
    page.on("dialog", lambda dialog: seen.append(f"dialog: {dialog.message}"))
    page.on("console", lambda message: seen.append(f"console: {message.text}"))
    outside = re.compile(r"(?!http://127\.0\.0\.1:|file:|data:)")
    page.on("request", lambda request: seen.append(request.url) if outside.match(request.url) else None)
    return seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window_and_nothing_hostile_runs(
    width: int, scheme: str, chromium: Any, server: PageServer
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    seen = watched(page)
    for name in PAGES:
        page.goto(server.address + name)
        page.evaluate("document.querySelectorAll('details').forEach((item) => (item.open = true))")
        wide, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= inner, name
        assert page.title() != "owned"
        assert page.locator("main").count() == 1
        assert page.locator("main :is(script, img, iframe, form[action])").count() == 0
        assert page.locator("a[href^='javascript:']").count() == 0
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 30)"
    assert dark == (scheme == "dark")
    page.close()
    assert seen == []


def test_offline_files_are_the_same_pages(chromium: Any, root: Path, tmp_path: Path) -> None:
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    seen = watched(page)
    for arguments in ([str(root / "run")], [str(root / "batch-a"), "--with", str(root / "batch-b")]):
        target = tmp_path / "page.html"
        assert main(["report", *arguments, "--html", str(target)]) == 0
        page.goto(target.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.title() != "owned"
    page.close()
    assert seen == []


def test_a_script_that_got_in_would_not_run(chromium: Any, server: PageServer) -> None:
    """The second wall: were anything not escaped, the policy still stops it."""
    page = chromium.new_page()
    page.route("**/run/", lambda route: route.fulfill(
        response=(answer := route.fetch()),
        body=answer.text().replace("<main>", "<main><script>document.title='owned'</script><b onclick='1'>"),
    ))  # fmt: skip
    page.goto(server.address + "run/")
    assert page.title() != "owned"
    page.close()


def test_a_run_is_shown_while_it_runs(chromium: Any, tmp_path: Path) -> None:
    run = RunDirectory(write_run(tmp_path / "r", steps=1, running=True, words="w"))
    run.claim()
    with PageServer(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        seen = watched(page)
        page.goto(server.address + "r/")
        status = page.locator("header .status")
        assert status.get_attribute("class") == "status busy"
        assert page.locator("#candidates tbody tr").count() == 14
        page.locator("#overview details summary").click()
        following = json.loads(run.events.read_text().splitlines()[-1])["seq"] + 1
        line = {"seq": following, "at": AT + 60, "type": "message", "id": "new", "parent": None, "agent": "coder:m",
                "node": "n0", "role": "assistant", "content": "fresh words", "tool_calls": [
                    {"function": {"name": "runTests", "arguments": "{}"}}]}  # fmt: skip
        with run.events.open("a") as events:
            events.write(json.dumps(line) + "\n")
        page.get_by_text("fresh words").wait_for()
        assert "coder n0: runTests" in (status.text_content() or "")
        assert page.locator("#overview details").get_attribute("open") is not None, "what was open stays open"
        run.release()
        run.replace("run.json", (run.path / "run.json").read_text().replace('"running"', '"interrupted"'))
        page.locator("header .status:not(.busy)").wait_for()
        page.close()
        server.shutdown()
    assert seen == []


def test_a_batch_is_filtered_and_compared(chromium: Any, server: PageServer, root: Path) -> None:
    page = chromium.new_page()
    page.goto(server.address + "batch-a/")
    shown = page.locator("#table tbody tr:visible")
    assert shown.count() == 40
    page.locator("[data-filter=flagged]").check()
    assert shown.count() == 8
    page.locator("[data-filter=verdict]").select_option("resolved")
    assert shown.count() == 2
    page.locator("[data-filter=text]").fill("calc-20")
    assert shown.count() == 1
    page.get_by_role("button", name="compare").click()
    paired = compare_paired(read_verdicts(str(root / "batch-a")), read_verdicts(str(root / "batch-b")))
    assert f"{paired.p_value:.3g}" in (page.locator("#compare").text_content() or "")
    assert paired.only_b
    page.locator("#table a").first.click()
    assert page.locator("#steps article").count() > 2
    page.close()


def test_only_pages_and_only_for_who_knows_the_word(server: PageServer, root: Path) -> None:
    base = f"http://127.0.0.1:{server.server_address[1]}"

    def status(address: str, **headers: str) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    (root.parent / "outside").mkdir(exist_ok=True)
    write_run(root.parent / "outside" / "run")
    (root / "link").symlink_to(root.parent / "outside" / "run")
    assert status(server.address) == 200
    assert status(server.address, Host="evil.example") == 404
    assert status(base + "/") == status(base + "/guess/") == 404
    for name in (
        "run/run.json",
        "run/events.jsonl",
        "../outside/run/",
        "%2e%2e/outside/run/",
        "link/",
        "/etc/",
    ):
        assert status(server.address + name) in (404, 301), name
        assert status(server.address + name.rstrip("/") + "/") == 404, name
    tag = urllib.request.urlopen(server.address + "run/").headers["ETag"]
    assert status(server.address + "run/", **{"If-None-Match": tag}) == 304
    (root / "link").unlink()


def test_the_command_serves_until_it_is_stopped(root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "swe_agent", "view", str(root)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert process.stdout is not None
    page = urllib.request.urlopen(process.stdout.readline().strip()).read()
    assert b"batch-a" in page
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr is not None
    assert process.stderr.read() == "swe-agent: interrupted\n"


def test_the_timeline_cuts_pauses_out_and_never_overlaps() -> None:
    spans = [
        Span("coder", "model", 0, 4, "a"),
        Span("coder", "tool", 2, 6, "b"),
        Span("coder", "tests", 100, 104, "c"),
    ]
    found = timeline(spans, [(6, 100)])
    assert found.span_s == 10
    assert [[(bar.left, bar.width) for bar in row] for row in found.lanes["coder"]] == [
        [(0, 40), (60, 40)],
        [(20, 40)],
    ]
    assert found.ticks[0] == (0, "00:00")
    assert found.seconds == {"model": 4, "tool": 4, "tests": 4}


def test_marks_of_data_are_taken_off_and_come_back_whole() -> None:
    message = f"before\n{untrusted(WORDS + '</data>', 'readFile')}\nafter"
    assert [(block.source, block.text) for block in blocks_of(message)] == [
        ("", "before"),
        ("readFile", WORDS + "</data>"),
        ("", "after"),
    ]
