"use strict";
// What the pages work without: copy buttons, times that stay current, and parts of a page that are fetched anew while
// they are looked at.
(() => {
  // Copying. Where the clipboard is not given to us, the text is selected for the keys.
  const copyText = async (button) => {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      return "Copied";
    } catch {
      const code = button.parentElement.querySelector("code, pre");
      if (code) getSelection().selectAllChildren(code);
      if (!document.execCommand("copy")) return "Press Ctrl+C";
      getSelection().removeAllRanges();
      return "Copied";
    }
  };
  const announce = (text) => {
    const place = document.getElementById("announce");
    if (place) place.textContent = text;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button || button.dataset.busy) return;
    button.dataset.busy = "1";
    const said = await copyText(button);
    button.textContent = said;
    announce(said);
    setTimeout(() => {
      button.textContent = "Copy";
      delete button.dataset.busy;
    }, 1500);
  });

  // A report is a fragment without buttons: the values that are to be pasted get theirs here.
  const ownWords = /^(Type|TTL|Priority|Current|Proxy|Record$|Name now|Now$|Target now|Exchanger now|Delete|Keep)/;
  const addCopy = (place, label) => {
    const text = place.querySelector("pre, code")?.textContent;
    if (!text || ownWords.test(label)) return;
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy", textContent: "Copy" });
    button.dataset.copy = text;
    button.setAttribute("aria-label", `Copy ${label} ${text.slice(0, 60)}`);
    place.append(button);
  };
  for (const field of document.querySelectorAll(".report .record dd")) {
    addCopy(field, field.previousElementSibling.textContent);
  }
  for (const table of document.querySelectorAll(".report table.to-enter")) {
    const head = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, at) => addCopy(cell, head[at]));
  }

  // The address of a check names what was filled in, and nothing else.
  document.querySelector(".check-form")?.addEventListener("submit", (event) => {
    if (event.submitter?.formMethod === "post") return;
    // Templates are too long for an address.
    event.target.method = event.target.template.value.trim() ? "post" : "get";
    const empty = [...event.target.elements].filter((field) => field.name && !field.value.trim());
    for (const field of empty) field.disabled = true;
    setTimeout(() => { for (const field of empty) field.disabled = false; });
  });

  // Times: the same rule as the server's.
  const distance = (seconds) => {
    const length = Math.abs(seconds);
    if (length === 0) return "now";
    const words = length < 120 ? `${length} s`
      : length < 7200 ? `${Math.floor(length / 60)} min`
      : length < 345600 ? `${Math.floor(length / 3600)} h`
      : `${Math.floor(length / 86400)} days`;
    return seconds < 0 ? `${words} ago` : `in ${words}`;
  };
  const tick = () => {
    const now = Math.floor(Date.now() / 1000);
    for (const time of document.querySelectorAll("time[data-tick]")) {
      const words = distance(Math.floor(Date.parse(time.dateTime) / 1000) - now);
      if (time.textContent !== words) time.textContent = words;
    }
  };
  setInterval(() => { if (!document.hidden) tick(); }, 1000);

  // The part that is fetched anew.
  const live = document.getElementById("live");
  if (!live) return;
  const PERIOD = 2000;
  let tag = live.dataset.tag;
  let failures = 0;
  let fetching = false;

  // Someone who types, selects or has just copied is not disturbed; the next round brings the news.
  const inUse = () => {
    const active = document.activeElement;
    if (live.contains(active) && active.matches("input, select, textarea")) return true;
    if (live.querySelector("[data-busy]")) return true;
    const selection = getSelection();
    return !selection.isCollapsed && live.contains(selection.anchorNode);
  };
  const replace = (html) => {
    const opened = new Map();
    for (const details of live.querySelectorAll("details[id]")) opened.set(details.id, details.open);
    const focused = live.contains(document.activeElement) ? focusKey(document.activeElement) : null;
    const before = live.querySelector("#live-part")?.dataset.announce;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    live.replaceChildren(...parsed.body.childNodes);
    for (const [id, open] of opened) {
      const details = document.getElementById(id);
      if (details) details.open = open;
    }
    if (focused) findFocus(focused)?.focus({ preventScroll: true });
    const after = live.querySelector("#live-part")?.dataset.announce;
    if (after && after !== before) announce(after);
    tick();
  };
  const focusKey = (element) => {
    if (element.id) return { id: element.id };
    if (element.matches("summary") && element.parentElement.id) return { details: element.parentElement.id };
    if (element.matches("a[href]")) return { href: element.getAttribute("href") };
    return null;
  };
  const findFocus = (key) => {
    if (key.id) return document.getElementById(key.id);
    if (key.details) return document.getElementById(key.details)?.querySelector("summary");
    return [...live.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === key.href);
  };
  const lost = (isLost) => {
    const note = document.getElementById("lost");
    if (note) note.hidden = !isLost;
  };
  const refresh = async () => {
    if (document.hidden || fetching || inUse()) return;
    fetching = true;
    try {
      const answer = await fetch(live.dataset.live, {
        headers: { "If-None-Match": tag },
        cache: "no-store",
        signal: AbortSignal.timeout(10000),
      });
      if (answer.status === 404) {
        clearInterval(timer);
        location.reload();
        return;
      }
      if (!answer.ok && answer.status !== 304) throw new Error(String(answer.status));
      failures = 0;
      lost(false);
      if (answer.status === 304) return;
      const html = await answer.text();
      if (inUse()) return;
      tag = answer.headers.get("ETag");
      replace(html);
    } catch {
      failures += 1;
      if (failures >= 2) lost(true);
    } finally {
      fetching = false;
    }
  };
  const timer = setInterval(refresh, PERIOD);
  document.addEventListener("visibilitychange", refresh);
})();
