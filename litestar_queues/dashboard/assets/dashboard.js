// In: a page of the dashboard. Out: the same page, whose regions are replaced when the stream tells of something new.
// Everything works without this file; then a page is as fresh as its last reload.
"use strict";

const { stream, status } = document.body.dataset;
const button = document.getElementById("live");
let source = null;
let seen = null;
let busy = false;
let paused = false;

function show(state, text) {
  button.hidden = false;
  button.dataset.state = state;
  button.textContent = text;
  button.setAttribute("aria-pressed", String(!paused));
  button.title = paused ? "Live updates are off" : "Live updates are on";
}

// What the reader holds in hands stays: the focus, open details, chosen records.
function keep(region, fresh) {
  for (const details of region.querySelectorAll("details[id]")) {
    const same = fresh.querySelector("#" + CSS.escape(details.id));
    if (same) same.open = details.open;
  }
  for (const box of region.querySelectorAll("input[type=checkbox]:checked")) {
    const same = fresh.querySelector(`input[type=checkbox][value="${CSS.escape(box.value)}"]`);
    if (same) same.checked = true;
  }
}

// What tells a place for the focus from others, whatever comes and goes around it.
function nameOf(one) {
  if (one.matches("summary")) return one.parentElement.id;
  return one.getAttribute("href") ?? (one.value || one.ariaLabel || one.textContent);
}

function replace(region, fresh) {
  const stops = "a, button, input:not([type=hidden]), summary, [tabindex]";
  const held = region.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  const scrolls = [...region.querySelectorAll(".wide, pre")].map((one) => one.scrollLeft);
  keep(region, fresh);
  region.replaceWith(fresh);
  [...fresh.querySelectorAll(".wide, pre")].forEach((one, index) => (one.scrollLeft = scrolls[index] ?? 0));
  if (held !== null) [...fresh.querySelectorAll(stops)].find((one) => nameOf(one) === held)?.focus({ preventScroll: true });
}

async function refresh() {
  if (busy) return;
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Refresh": "1" }, signal: AbortSignal.timeout(10000) });
    if (!answer.ok || answer.redirected) return show("down", "Not live"); // perhaps to where one logs in
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(region.id);
      if (fresh && fresh.innerHTML !== region.innerHTML) replace(region, document.importNode(fresh, true));
    }
    if (!("each" in page.body.dataset)) delete document.body.dataset.each;
    if (!paused) show("on", "Live");
  } catch {
    show("down", "Not live");
  } finally {
    busy = false;
  }
}

function told(event) {
  if (status === "503") return location.reload();
  if (event.data === seen && document.body.dataset.each === undefined) return show("on", "Live");
  seen = event.data;
  refresh();
}

function open() {
  if (source || paused || document.hidden) return;
  seen = null;
  source = new EventSource(stream);
  source.onmessage = told;
  source.addEventListener("down", () => show("down", "Not live"));
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return; // it connects again by itself
    show("down", "Not live");
    close();
    setTimeout(open, 30000);
  };
}

function close() {
  source?.close();
  source = null;
}

button.addEventListener("click", () => {
  paused = !paused;
  paused ? close() : open();
  show(paused ? "off" : "on", paused ? "Paused" : "Live");
});
// a page that refused something stays as it is; one that had no store to show comes back by itself
if (status === "200" || status === "503") {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  show("on", "Live");
  open();
}
