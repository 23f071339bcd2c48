"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// What the reader has chosen, kept when the page is drawn anew.
function setUp() {
  const picker = document.getElementById("picker");
  const pick = () => all(".candidate").forEach((item) => (item.hidden = item.id !== "c-" + picker.value));
  if (picker) { picker.onchange = pick; pick(); }
  const filters = all("[data-filter]"), rows = all("#table tbody tr"), shown = document.querySelector("output");
  const filter = () => {
    let count = 0;
    for (const row of rows) {
      row.hidden = !filters.every((item) => {
        const kind = item.dataset.filter;
        if (kind === "text") return row.textContent.toLowerCase().includes(item.value.toLowerCase());
        if (kind === "flagged") return !item.checked || row.dataset.flagged !== "0";
        return !item.value || row.dataset[kind] === item.value;
      });
      count += !row.hidden;
    }
    if (shown) shown.textContent = count + " of " + rows.length;
  };
  filters.forEach((item) => (item.oninput = filter));
  if (filters.length) filter();
  tick();
}

function tick() {
  for (const item of all("time[data-since]")) {
    const seconds = Math.max(0, Math.round(Date.now() / 1000 - Number(item.dataset.since)));
    item.textContent = seconds < 90 ? seconds + " s" : Math.round(seconds / 60) + " min";
  }
}

function choices() {
  const kept = new Map(all("[data-keep]").map((item) => [item.dataset.keep, [item.value, item.checked]]));
  const open = new Set(all("details").map((item, at) => (item.open ? at : -1)));
  return () => {
    for (const item of all("[data-keep]")) {
      const [value, checked] = kept.get(item.dataset.keep) || [item.value, item.checked];
      item.value = value;
      if (item.selectedIndex === -1) item.selectedIndex = 0;
      item.checked = checked;
    }
    all("details").forEach((item, at) => (item.open = open.has(at)));
  };
}

let tag = "";
async function refresh() {
  const pause = Number(document.body.dataset.live) * 1000;
  if (!pause) return;
  const begun = Date.now();
  const busy = /^(INPUT|SELECT)$/.test(document.activeElement.tagName) || !getSelection().isCollapsed;
  if (!busy && !document.hidden) {
    try {
      const answer = await fetch(location.pathname + location.search, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag") || "";
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html"), restore = choices();
        for (const name of ["header", "main"]) document.querySelector(name).replaceWith(fresh.querySelector(name));
        if (fresh.body.dataset.live) document.body.dataset.live = fresh.body.dataset.live;
        else delete document.body.dataset.live;
        restore();
        setUp();
      }
    } catch { document.title = document.title.replace(/^(\(offline\) )?/, "(offline) "); }
  }
  setTimeout(refresh, Math.max(pause, 4 * (Date.now() - begun)));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const steps = all("article");
  if (!steps.length || (event.key !== "j" && event.key !== "k")) return;
  const at = steps.findIndex((step) => "#" + step.id === location.hash);
  const next = event.key === "j" ? Math.min(at + 1, steps.length - 1) : Math.max(at - 1, 0);
  location.hash = steps[next].id;
});
setUp();
setInterval(tick, 1000);
if (location.protocol !== "file:") refresh();
