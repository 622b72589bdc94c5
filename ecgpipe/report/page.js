"use strict";
/* The page itself: wide tables can be scrolled by keyboard and say so; in print folds are open and tables fit. */
(() => {
  const boxes = () => document.querySelectorAll(".scroll");
  const name = (box) => {
    const own = box.querySelector("caption") || document.getElementById(box.firstElementChild?.getAttribute("aria-describedby"));
    const near = box.closest("figure")?.querySelector("figcaption") || box.closest("details")?.querySelector("summary");
    return (own || near)?.textContent.trim() || "Wide content";
  };
  const mark = (box) => {
    const wide = box.scrollWidth > box.clientWidth + 1;
    if (wide === box.classList.contains("wide")) return;
    box.classList.toggle("wide", wide);
    for (const [key, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", `${name(box)} (scrolls sideways)`]]) {
      if (wide) box.setAttribute(key, value); else box.removeAttribute(key);
    }
  };
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  for (const box of boxes()) watch.observe(box);

  /* A browser shrinks all pages if a table is wider than one: then no ECG has its true size. */
  const PRINTED = 690;
  let opened = [];
  window.addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const fold of opened) fold.open = true;
    for (const table of document.querySelectorAll(".scroll > table")) {
      const width = table.scrollWidth;
      if (width > PRINTED) table.style.zoom = String(PRINTED / width);
    }
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    for (const fold of opened) fold.open = false;
    for (const table of document.querySelectorAll(".scroll > table")) table.style.zoom = "";
  });
})();
