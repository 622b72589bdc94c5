"use strict";
/* The viewer of the report: chooses records of the page's data and shows them in panes. All text is set as text. */
(() => {
  const source = document.getElementById("ecg-data");
  document.documentElement.classList.remove("plain");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  data.records = data.records.map((record, i) => ({ step: data.step, leads: data.leads, shown: i < data.shown, ...record }));
  const find = (name) => document.getElementById(`viewer-${name}`);
  const root = document.getElementById("viewer");
  const [dataset, set, rhythm, layout, gain, zoom] =
    ["dataset", "set", "rhythm", "layout", "gain", "zoom"].map(find);
  const [beside, measure, count, about, read, other] =
    ["nearest", "calipers", "count", "about", "reading", "about-nearest"].map(find);
  root.hidden = false;
  const pane = new Pane(find("sheet"), (text) => { read.textContent = text; });
  const second = new Pane(find("sheet-nearest"), () => {});
  let chosen = [], place = 0;

  const option = (select, value, text) => {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = text;
    select.append(made);
  };

  const titled = (own) => (own.real ? `${own.name} records` : `synthetic: ${own.name}`);

  function fillSets() {
    const before = set.value, at = Number(dataset.value);
    const kind = set.selectedOptions[0] && set.selectedOptions[0].textContent;
    set.replaceChildren();
    data.sets.forEach((own, i) => {
      if (own.dataset === at && data.records.some((r) => r.set === i && r.shown)) option(set, `set ${i}`, titled(own));
    });
    data.sets.forEach((own, i) => {
      if (own.dataset === at && data.pairs.some((pair) => data.records[pair.synthetic].set === i)) {
        option(set, `pairs ${i}`, `most alike to training records: ${own.name}`);
      }
    });
    const same = [...set.options].find((o) => o.textContent === kind) || [...set.options].find((o) => o.value === before);
    if (same) set.value = same.value;
    choose();
  }

  function choose() {
    const [kind, index] = set.value.split(" ");
    const all = kind === "pairs"
      ? data.pairs.filter((pair) => data.records[pair.synthetic].set === Number(index))
        .map((pair) => ({ record: data.records[pair.synthetic], pair }))
      : data.records.filter((r) => r.shown && r.set === Number(index)).map((record) => ({ record }));
    chosen = all.filter(({ record }) => rhythm.value === "all" || record.class === Number(rhythm.value));
    place = 0;
    show();
  }

  const signed = (value) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(2);
  const rate = (record) => (record.rate == null ? "no heart rate found" : `heart rate ${record.rate}/min`);

  function named(record) {
    const own = data.sets[record.set];
    const what = own.real ? `${own.name} record` : `synthetic record of ${own.name},`;
    return `${data.classes[record.class]} · ${what} ${record.name} (${record.split}) · ${rate(record)}`;
  }

  function nearest({ record, pair }) {
    if (pair) {
      return { record: data.records[pair.training], text: `${pair.kind}: similarity ${pair.similarity.toFixed(3)}, ` +
        `shifted by ${signed(pair.shift)} s, ${pair.distance.toFixed(3)} mV apart` };
    }
    if (!record.near) return { text: record.split === "train" && data.sets[record.set].real ? "This is a training record." : "" };
    const [near, similarity, shift] = record.near;
    const text = `similarity ${similarity.toFixed(3)}, shifted by ${signed(shift)} s`;
    return typeof near === "string"
      ? { text: `Nearest training record: ${near}, ${text}; it is not among the records of this page.` }
      : { record: data.records[near], text };
  }

  const laid = (record) => Ecg.sheet(Ecg.unpack(record, data.length), data.rate, layout.value, Number(gain.value));

  function show() {
    const item = chosen[place];
    count.textContent = chosen.length ? `${place + 1} of ${chosen.length}` : "none";
    for (const canvas of root.querySelectorAll("canvas")) canvas.hidden = !item;
    if (!item) {
      about.textContent = "The page holds no such record.";
      other.textContent = "";
      find("sheet-nearest").hidden = true;
      return;
    }
    about.textContent = named(item.record);
    pane.show(laid(item.record), `12-lead ECG: ${about.textContent}`);
    pane.setMeasuring(measure.getAttribute("aria-pressed") === "true");
    const near = nearest(item), visible = Boolean(near.record) && (beside.checked || Boolean(item.pair));
    find("sheet-nearest").hidden = !visible;
    other.textContent = near.record ? `Nearest training record: ${named(near.record)} · ${near.text}` : near.text;
    if (visible) second.show(laid(near.record), `12-lead ECG: ${other.textContent}`);
  }

  function step(by) {
    if (!chosen.length) return;
    place = (place + by + chosen.length) % chosen.length;
    show();
  }

  function turn(select, by) {
    const n = select.options.length;
    select.selectedIndex = (select.selectedIndex + by + n) % n;
    select.dispatchEvent(new Event("change"));
  }

  function setZoom() {
    for (const own of [pane, second]) own.setZoom(Number(zoom.value));
  }

  function toggleCalipers() {
    const on = measure.getAttribute("aria-pressed") !== "true";
    measure.setAttribute("aria-pressed", String(on));
    pane.setMeasuring(on);
  }

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const keys = {
    n: () => step(1), p: () => step(-1), r: () => turn(rhythm, 1), g: () => turn(set, 1), d: () => turn(dataset, 1),
    l: () => turn(layout, 1), c: toggleCalipers, t: () => { beside.checked = !beside.checked; show(); },
    "+": () => { if (zoom.selectedIndex < ZOOMS.length - 1) turn(zoom, 1); },
    "-": () => { if (zoom.selectedIndex > 0) turn(zoom, -1); },
    0: () => { zoom.selectedIndex = 0; setZoom(); },
  };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const arrow = arrows[event.key];
    if (arrow && pane.calipers) {
      const far = event.shiftKey ? 5 : 1;
      pane.nudge(arrow[0] * far * 0.25, arrow[1] * far * 0.25, event.target === measure);
    } else if (arrow && arrow[0] && !pane.zoom) step(arrow[0]);
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  });

  data.datasets.forEach((own, i) => option(dataset, i, own.name));
  option(rhythm, "all", "all rhythms");
  data.classes.forEach((name, i) => option(rhythm, i, name));
  ZOOMS.forEach((value) => option(zoom, value, value ? `${value * 100} %` : "fit"));
  dataset.addEventListener("change", fillSets);
  set.addEventListener("change", choose);
  rhythm.addEventListener("change", choose);
  for (const select of [layout, gain, beside]) select.addEventListener("change", show);
  zoom.addEventListener("change", setZoom);
  measure.addEventListener("click", toggleCalipers);
  find("previous").addEventListener("click", () => step(-1));
  find("next").addEventListener("click", () => step(1));
  keepDrawn([pane, second]);
  fillSets();
})();
