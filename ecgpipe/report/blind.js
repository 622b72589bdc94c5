"use strict";
/* The blind test: one unlabelled ECG after the other, answers kept in the browser and saved to a file. */
(() => {
  const FORMAT = "ecgpipe blind answers 1";
  document.documentElement.classList.remove("plain");
  const source = document.getElementById("ecg-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const find = (name) => document.getElementById(`blind-${name}`);
  const [reader, layout, gain, zoom, measure, count, done, read, note] =
    ["reader", "layout", "gain", "zoom", "calipers", "count", "done", "reading", "note"].map(find);
  const root = find("test"), form = find("form"), slot = `ecgpipe-blind-${data.test}`;
  root.hidden = false;
  const pane = new Pane(find("sheet"), (text) => { read.textContent = text; });
  let answers = {}, place = 0, since = performance.now(), unsaved = false;

  function remember() {
    try { localStorage.setItem(slot, JSON.stringify({ reader: reader.value, answers })); } catch { /* not allowed here */ }
  }

  const known = (answer) => answer && ["real", "synthetic"].includes(answer.verdict) && typeof answer.rhythm === "string";

  function take(saved) {
    if (!saved || typeof saved !== "object") return 0;
    const given = Array.isArray(saved.answers)
      ? Object.fromEntries(saved.answers.filter((a) => a && typeof a === "object").map((a) => [a.item, a]))
      : saved.answers || {};
    answers = {};
    for (const { item } of data.records) if (known(given[item])) answers[item] = given[item];
    if (typeof saved.reader === "string") reader.value = saved.reader;
    return Object.keys(answers).length;
  }

  function firstOpen() {
    const open = data.records.findIndex(({ item }) => !answers[item]);
    return open < 0 ? 0 : open;
  }

  function progress() {
    const n = Object.keys(answers).length;
    done.textContent = `${n} of ${data.records.length} judged`;
    find("save").disabled = !n;
  }

  function show() {
    const record = data.records[place];
    count.textContent = `ECG ${place + 1} of ${data.records.length}`;
    const leads = Ecg.unpack(record, data.length);
    pane.show(Ecg.sheet(leads, data.rate, layout.value, Number(gain.value)), `12-lead ECG ${place + 1}, unlabelled`);
    pane.setMeasuring(measure.getAttribute("aria-pressed") === "true");
  }

  function go(to) {
    place = (to + data.records.length) % data.records.length;
    since = performance.now();
    const answer = answers[data.records[place].item];
    for (const input of form.elements) {
      if (input.type === "radio") input.checked = Boolean(answer) && answer[input.name] === input.value;
    }
    show();
    progress();
  }

  const value = (name) => (form.querySelector(`input[name="${name}"]:checked`) || { value: "" }).value;

  function judged() {
    const verdict = value("verdict"), { item } = data.records[place];
    if (!verdict) return;
    const seconds = answers[item] ? answers[item].seconds : Math.round((performance.now() - since) / 100) / 10;
    answers[item] = { item, verdict, rhythm: value("rhythm"), seconds };
    unsaved = true;
    remember();
    progress();
  }

  function save() {
    const found = { format: FORMAT, test: data.test, reader: reader.value.trim(), saved: new Date().toISOString(),
      answers: data.records.map(({ item }) => answers[item]).filter(Boolean) };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(found, null, 1)], { type: "application/json" }));
    link.download = `blind_answers_${found.reader.replace(/[^\p{L}\p{N}_-]+/gu, "_") || "reader"}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
    note.textContent = `Saved as ${link.download}. Send this file to whoever runs the study.`;
  }

  async function load() {
    const [file] = find("load").files;
    if (!file) return;
    try {
      const saved = JSON.parse(await file.text());
      if (saved.format !== FORMAT || saved.test !== data.test) throw new Error("other test");
      note.textContent = `${take(saved)} answers read from ${file.name}.`;
      remember();
      go(firstOpen());
    } catch {
      note.textContent = `${file.name} holds no answers to this test.`;
    }
  }

  function radio(holder, name, text, answer, key) {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name, value: answer });
    const hint = document.createElement("kbd");
    hint.textContent = key;
    label.append(input, ` ${text} `, hint);
    holder.append(label);
  }

  const choices = { r: ["verdict", "real"], s: ["verdict", "synthetic"] };
  radio(find("verdicts"), "verdict", "real", "real", "r");
  radio(find("verdicts"), "verdict", "synthetic", "synthetic", "s");
  [...data.classes, "other"].forEach((name, i) => {
    const key = "123456789abefhijkmoq"[i] || "";
    choices[key] = ["rhythm", name];
    radio(find("rhythms"), "rhythm", name === "other" ? "other, or cannot tell" : name, name, key);
  });
  ZOOMS.forEach((factor) => {
    const made = document.createElement("option");
    made.value = factor;
    made.textContent = factor ? `${factor * 100} %` : "fit";
    zoom.append(made);
  });
  form.addEventListener("change", judged);
  form.addEventListener("submit", (event) => event.preventDefault());
  reader.addEventListener("input", remember);
  for (const select of [layout, gain]) select.addEventListener("change", show);
  zoom.addEventListener("change", () => pane.setZoom(Number(zoom.value)));
  measure.addEventListener("click", () => {
    const on = measure.getAttribute("aria-pressed") !== "true";
    measure.setAttribute("aria-pressed", String(on));
    pane.setMeasuring(on);
  });
  find("previous").addEventListener("click", () => go(place - 1));
  find("next").addEventListener("click", () => go(place + 1));
  find("save").addEventListener("click", save);
  find("load").addEventListener("change", load);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.tagName === "SELECT" || (event.target.tagName === "INPUT" && event.target.type !== "radio");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && pane.calipers) {
      const far = (event.shiftKey ? 5 : 1) * 0.25;
      pane.nudge(arrow[0] * far, arrow[1] * far, event.target === measure);
    } else if (event.key === "n") go(place + 1);
    else if (event.key === "p") go(place - 1);
    else if (event.key === "c") measure.click();
    else if (choices[event.key]) {
      const [name, answer] = choices[event.key];
      for (const input of form.elements) if (input.name === name && input.value === answer) input.checked = true;
      judged();
    } else return;
    event.preventDefault();
  });
  window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  keepDrawn([pane]);
  try { take(JSON.parse(localStorage.getItem(slot) || "null")); } catch { /* not allowed here, or not ours */ }
  go(firstOpen());
})();
