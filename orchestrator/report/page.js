"use strict";
const picker = document.getElementById("picker");
if (picker) picker.addEventListener("change", () => {
  for (const item of document.querySelectorAll(".candidate")) item.hidden = item.id !== "c-" + picker.value;
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const steps = [...document.querySelectorAll("article")];
  if (!steps.length || (event.key !== "j" && event.key !== "k")) return;
  const at = steps.findIndex((step) => "#" + step.id === location.hash);
  const next = event.key === "j" ? Math.min(at + 1, steps.length - 1) : Math.max(at - 1, 0);
  location.hash = steps[next].id;
});
