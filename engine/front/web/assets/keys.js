// What makes the pages better where scripts run: keys, times in the reader's zone, a
// list that brings itself up to date. Every page works without.
"use strict";
(() => {
  const localTimes = (root) => {
    const now = new Date();
    for (const t of root.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (isNaN(at)) continue;
      t.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "medium" });
      if (t.dataset.long !== undefined) t.textContent = at.toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
      else if (at.toDateString() === now.toDateString()) t.textContent = at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
      else if (at.getFullYear() === now.getFullYear()) t.textContent = at.toLocaleDateString(undefined, { day: "numeric", month: "short" });
      else t.textContent = at.toLocaleDateString(undefined, { dateStyle: "medium" });
    }
  };
  localTimes(document);

  const rows = () => [...document.querySelectorAll(".row")];
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((r) => r.contains(document.activeElement));
    const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by))];
    for (const r of all) r.classList.toggle("here", r === next);
    next.querySelector("a").focus();
  };
  const go = (selector) => {
    const link = document.querySelector(selector);
    if (link) link.click();
    return !!link;
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const field = e.target.closest("input:not([type=checkbox]), textarea, select");
    if (e.key === "Escape" && field) return field.blur();
    if (field) return;
    const row = document.activeElement.closest(".row");
    const listed = rows().length > 0;
    const done =
      e.key === "/" ? (document.querySelector("#q")?.focus(), true) :
      e.key === "j" && listed ? (move(1), true) :
      e.key === "k" && listed ? (move(-1), true) :
      e.key === "x" && row ? (row.querySelector("input").click(), true) :
      ["j", "k", "c", "r", "a", "f", "u"].includes(e.key) ? go(`[data-key="${e.key}"]`) : false;
    if (done) e.preventDefault();
  });

  // One box for all, which makes no sense without a script.
  const boxForAll = () => {
    const all = document.querySelector("#all");
    if (!all) return;
    all.closest("label").hidden = false;
    all.addEventListener("change", () => { for (const b of document.querySelectorAll(".row input")) b.checked = all.checked; });
  };
  boxForAll();
  document.addEventListener("submit", (e) => {
    const question = e.submitter?.dataset.ask;
    if (question && !confirm(question)) e.preventDefault();
    else if (e.target.dataset.once !== undefined) setTimeout(() => { for (const b of e.target.querySelectorAll("button")) b.disabled = true; }, 0);
  });

  // The list asks for itself now and then, while it is looked at and nothing is chosen.
  const list = document.querySelector("#list[data-refresh], #list[data-events]");
  if (list) {
    const refresh = async () => {
      if (document.hidden || document.querySelector(".row input:checked") || list.contains(document.activeElement)) return false;
      const answer = await fetch(location.href, { headers: { "X-Refresh": "1" } });
      if (!answer.ok || answer.redirected) return false;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("#list");
      if (!fresh || fresh.dataset.state === list.dataset.state) return true;
      list.dataset.state = fresh.dataset.state;
      list.replaceChildren(...fresh.childNodes);
      document.title = page.title;
      localTimes(list);
      boxForAll();
      return true;
    };
    if (list.dataset.refresh) setInterval(() => refresh().catch(() => {}), 1000 * Number(list.dataset.refresh));
    if (list.dataset.events) { // at most once a second, and again where it could not be shown
      new EventSource(list.dataset.events).addEventListener("mailbox", (e) => { list.dataset.news = e.data; });
      let seen;
      setInterval(() => {
        if (list.dataset.news === seen) return;
        const now = list.dataset.news;
        refresh().then((shown) => { if (shown) seen = now; }).catch(() => {});
      }, 1000);
    }
    document.addEventListener("visibilitychange", () => refresh().catch(() => {}));
  }
})();
