"use strict";
/* A sheet that a reader can zoom and measure: a canvas with calipers on a second one above it. */
const ZOOMS = [0, 1, 1.5, 2, 3, 4];
const CSS_MM = 96 / 25.4;
const WIDEST = 8192;
const LEAST_SCALE = 2.2;

class Pane {
  /** @param holder an element with the class `sheet`, which scrolls; @param say called with what the calipers read. */
  constructor(holder, say) {
    this.holder = holder;
    this.say = say;
    this.zoom = 0;
    this.laid = null;
    this.calipers = null;
    this.measuring = false;
    this.paper = document.createElement("canvas");
    this.overlay = document.createElement("canvas");
    this.overlay.className = "calipers";
    this.paper.setAttribute("role", "img");
    this.overlay.setAttribute("aria-hidden", "true");
    holder.append(this.paper, this.overlay);
    this.overlay.addEventListener("pointerdown", (event) => this.begin(event));
    this.overlay.addEventListener("pointermove", (event) => this.move(event));
    this.overlay.addEventListener("pointerup", () => { this.dragging = false; });
  }

  show(laid, label) {
    this.laid = laid;
    this.paper.setAttribute("aria-label", label);
    this.calipers = null;
    this.draw();
  }

  /** Pixels of the page a mm. */
  get scale() {
    if (this.zoom) return this.zoom * CSS_MM;
    return Math.max(Math.min(this.holder.clientWidth / this.laid.width, 1.6 * CSS_MM), LEAST_SCALE);
  }

  draw(forPrint) {
    if (!this.laid || (!this.holder.clientWidth && !forPrint)) return;
    const { width, height } = this.laid;
    // Chromium prints a canvas at its size only if it has a whole multiple of the pixels that it covers.
    const pixels = forPrint
      ? [width, height].map((mm) => 2 * Math.floor(mm * CSS_MM))
      : [width, height].map((mm) => Math.round(mm * Math.min(this.scale * (window.devicePixelRatio || 1), WIDEST / width)));
    Ecg.draw(this.paper, this.laid, ...pixels);
    for (const canvas of [this.paper, this.overlay]) {
      canvas.style.setProperty("--width", `${width}mm`);
      canvas.style.setProperty("--height", `${height}mm`);
      canvas.style.width = `${width * this.scale}px`;
      canvas.style.height = `${height * this.scale}px`;
    }
    this.holder.classList.toggle("wide", width * this.scale > this.holder.clientWidth + 1);
    this.overlay.width = Math.round(width * this.scale);
    this.overlay.height = Math.round(height * this.scale);
    this.mark();
  }

  setZoom(zoom) {
    this.zoom = zoom;
    this.draw();
  }

  setMeasuring(on) {
    this.measuring = on;
    this.overlay.classList.toggle("on", on);
    if (on && this.laid) {
      const y = this.laid.baselines[Math.min(1, this.laid.baselines.length - 1)];
      this.calipers = { x0: this.laid.left + 10, y0: y, x1: this.laid.left + 30, y1: y - this.laid.gain };
    } else this.calipers = null;
    this.mark();
  }

  at(event) {
    const box = this.overlay.getBoundingClientRect();
    return [(event.clientX - box.left) / this.scale, (event.clientY - box.top) / this.scale];
  }

  begin(event) {
    if (!this.measuring || event.button) return;
    const [x, y] = this.at(event);
    this.calipers = { x0: x, y0: y, x1: x, y1: y };
    this.dragging = true;
    this.overlay.setPointerCapture(event.pointerId);
    this.mark();
  }

  move(event) {
    if (!this.dragging) return;
    [this.calipers.x1, this.calipers.y1] = this.at(event);
    this.mark();
  }

  /** Move the second point of the calipers, or with `both` all of them, by mm. */
  nudge(dx, dy, both) {
    const c = this.calipers;
    if (!c) return;
    c.x1 += dx; c.y1 += dy;
    if (both) { c.x0 += dx; c.y0 += dy; }
    this.mark();
  }

  /** What the calipers read: ms, mV. */
  reading() {
    const c = this.calipers;
    return c && { ms: (Math.abs(c.x1 - c.x0) / 25) * 1000, mv: (c.y0 - c.y1) / this.laid.gain };
  }

  mark() {
    const pen = this.overlay.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.overlay.width, this.overlay.height);
    const read = this.reading();
    if (!read) { this.say(""); return; }
    const { x0, y0, x1, y1 } = this.calipers, s = this.scale;
    pen.strokeStyle = getComputedStyle(this.overlay).getPropertyValue("--ecg-caliper").trim();
    pen.fillStyle = pen.strokeStyle;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const x of [x0, x1]) { pen.moveTo(x * s, 0); pen.lineTo(x * s, this.overlay.height); }
    pen.stroke();
    pen.setLineDash([5, 4]);
    pen.beginPath();
    for (const y of [y0, y1]) { pen.moveTo(0, y * s); pen.lineTo(this.overlay.width, y * s); }
    pen.stroke();
    pen.setLineDash([]);
    pen.fillRect(x1 * s - 3, y1 * s - 3, 6, 6);
    const rate = read.ms > 0 ? `, ${Math.round(60000 / read.ms)}/min` : "";
    this.say(`Calipers: ${Math.round(read.ms)} ms${rate}, ${read.mv.toFixed(2)} mV`);
  }
}

/** Redraw panes when the window, the colours or the medium change. */
function keepDrawn(panes) {
  const every = (forPrint) => panes.forEach((pane) => pane.draw(forPrint));
  let width = 0;
  window.addEventListener("resize", () => { if (width !== window.innerWidth) { width = window.innerWidth; every(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => every());
  window.addEventListener("beforeprint", () => every(true));
  window.addEventListener("afterprint", () => every());
}
