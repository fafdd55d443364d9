// The live parts, and what the keyboard can do. Everything else works without it.
"use strict";

const find = document.getElementById("find");

// `/` leads to the find box, unless something is being typed.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !find) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  find.focus();
  find.select();
});

// A second press must not post a form twice. After the first, as a disabled button is not posted.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  setTimeout(() => {
    for (const button of event.target.querySelectorAll("button")) button.disabled = true;
  });
});

// The browser's way back shows the page as it was left.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

// What is under way is read again until it is over.
const again = async (part) => {
  const answer = await fetch(location.href).catch(() => null);
  let next = part;
  if (answer && answer.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    next = page.getElementById(part.id);
    if (!next) return; // the session has ended, and this is the page to sign in
    if (part.contains(document.activeElement)) next = part; // nobody's button goes away
    else part.replaceWith(next);
  }
  if ("again" in next.dataset) setTimeout(again, 3000, next);
};
for (const part of document.querySelectorAll("[data-again]")) setTimeout(again, 3000, part);

// What is live: the server sends it as HTML. Only what differs is changed, so that it is read out once.
const verdict = document.getElementById("verdict");
if (verdict && window.EventSource) {
  const LATEST = 20, SILENT = 15000; // lines that are kept; milliseconds
  const list = document.getElementById("changes");
  let silence;
  const say = (id, text) => {
    const place = document.getElementById(id);
    if (place.textContent !== text) place.textContent = text;
  };
  const add = (html) => {
    const parsed = document.createElement("template");
    parsed.innerHTML = html;
    const lines = [...parsed.content.children];
    const ids = (of) => new Set(of.map((line) => line.dataset.id));
    const [there, known] = [ids(lines), ids([...list.children])];
    for (const note of list.querySelectorAll(".none[data-id]"))
      if (!there.has(note.dataset.id)) note.remove();
    list.prepend(...lines.filter((line) => !known.has(line.dataset.id)));
    while (list.children.length > LATEST) list.lastElementChild.remove();
  };
  const fallSilent = () => {
    verdict.className = "verdict off";
    say("verdict-detail", "This is not live any more: reload the page.");
  };
  new EventSource(verdict.dataset.live).addEventListener("overview", (event) => {
    const live = JSON.parse(event.data);
    clearTimeout(silence);
    silence = setTimeout(fallSilent, SILENT);
    document.title = live.title;
    verdict.className = `verdict ${live.kind}`;
    say("verdict-sentence", live.sentence);
    say("verdict-detail", live.detail);
    document.getElementById("stages").innerHTML = live.stages;
    add(live.changes);
  });
}
