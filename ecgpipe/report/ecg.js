"use strict";
/* ECGs in a page: unpacked from the text that ecgpipe/report/packing.py writes, laid out as on paper, drawn on a canvas.
   Millimetres and mV throughout. Nothing is cut off: see ecgpipe/report/ecgpaper.py, whose sheet this is. */
const Ecg = (() => {
  const LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
  const COLUMNS = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]];
  const BLOCK = 100, OWN = 3, OTHER = 2, SHIFT = 6, WEIGHT_BITS = 8, PARAMETER_BITS = 5;
  const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%.()*+-;,=:?@^_`{|}~";
  const VALUES = Object.fromEntries([...DIGITS].map((digit, i) => [digit, i]));
  const SPEED = 25, GAIN = 10, HIGHEST = 175, SMALLEST_GAIN = 1e-9;
  const FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif";

  /** Return the bytes of a text in base 85: five characters are four bytes. */
  function bytes(text) {
    const found = new Uint8Array(Math.ceil(text.length / 5) * 4);
    for (let group = 0; group * 5 < text.length; group++) {
      let value = 0;
      for (let i = 0; i < 5; i++) value = value * 85 + (VALUES[text[group * 5 + i]] ?? 84);
      for (let i = 3; i >= 0; i--) { found[group * 4 + i] = value % 256; value = Math.floor(value / 256); }
    }
    return found;
  }

  /** Return the stored leads of a packed ECG as whole steps. */
  function steps(packed, length) {
    const stored = bytes(packed.data);
    let place = 0;
    const bit = () => {
      const value = (stored[place >> 3] >> (7 - (place & 7))) & 1;
      place += 1;
      return value;
    };
    const read = (count) => {
      let value = 0;
      for (let i = 0; i < count; i++) value = value * 2 + bit();
      return value;
    };
    const rice = (parameter) => {
      let quotient = 0;
      while (bit()) quotient += 1;
      const folded = quotient * 2 ** parameter + read(parameter);
      return folded % 2 ? -(folded + 1) / 2 : folded / 2;
    };
    const found = [];
    for (let lead = 0; lead < packed.leads; lead++) {
      const samples = new Int32Array(length);
      const weights = Array.from({ length: OWN + OTHER * lead }, () => read(WEIGHT_BITS) - 2 ** (WEIGHT_BITS - 1));
      let parameter = 0;
      for (let i = 0; i < length; i++) {
        if (i % BLOCK === 0) parameter = read(PARAMETER_BITS);
        let sum = 1 << (SHIFT - 1), w = 0;
        for (let lag = 1; lag <= OWN; lag++, w++) if (i >= lag) sum += weights[w] * samples[i - lag];
        for (const other of found) {
          for (let lag = 0; lag < OTHER; lag++, w++) if (i >= lag) sum += weights[w] * other[i - lag];
        }
        samples[i] = rice(parameter) + (sum >> SHIFT);
      }
      found.push(samples);
    }
    return found;
  }

  /** Return the samples of a packed ECG in mV, by lead. */
  function unpack(packed, length) {
    const stored = steps(packed, length).map((lead) => Float64Array.from(lead, (value) => value * packed.step));
    let all = stored;
    if (packed.leads === 8) {
      const [one, two] = stored;
      const derived = [
        one.map((v, i) => two[i] - v), one.map((v, i) => -(v + two[i]) / 2),
        one.map((v, i) => v - two[i] / 2), two.map((v, i) => v - one[i] / 2),
      ];
      all = [one, two, ...derived, ...stored.slice(2)];
    }
    return Object.fromEntries(LEADS.map((name, i) => [name, all[i]]));
  }

  function median(values) {
    const sorted = Float64Array.from(values).sort();
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  const above = (mm) => Math.ceil(mm / 5 - 1e-9) * 5;

  /** Return the baselines of rows and the height of the sheet, mm. */
  function placed(extents, gain, least, label) {
    const baselines = [];
    let below = 0;
    for (const [low, high] of extents) {
      const first = baselines.length ? baselines[baselines.length - 1] + least : 0;
      const baseline = Math.max(first, above(below + label + Math.max(high, 1) * gain));
      baselines.push(baseline);
      below = baseline + Math.max(-low, 0) * gain;
    }
    return { baselines, height: above(below + 5) };
  }

  /**
   * Lay a sheet out.
   * @param leads samples in mV by lead, of `unpack`.
   * @param rate Hz.
   * @param layout "3x4" (and a rhythm strip of lead II) or "12" rows.
   * @param wanted mm/mV; 0: the largest of 10, 5, 2.5 ... that keeps the sheet on A4 landscape.
   */
  function sheet(leads, rate, layout, wanted) {
    const length = leads.II.length, wide = layout === "12";
    const left = wide ? 25 : 15, pulse = wide ? 13 : 5;
    const bounds = [0, 1, 2, 3, 4].map((i) => Math.round((i * length) / 4));
    const rows = wide
      ? LEADS.map((lead) => [{ lead, first: 0, last: length }])
      : [...COLUMNS.map((row) => row.map((lead, i) => ({ lead, first: bounds[i], last: bounds[i + 1] }))),
        [{ lead: "II", first: 0, last: length }]];
    const middle = Object.fromEntries(LEADS.map((lead) => [lead, median(leads[lead])]));
    const extents = rows.map((row) => {
      let low = 0, high = 0;
      for (const part of row) for (let i = part.first; i < part.last; i++) {
        const value = leads[part.lead][i] - middle[part.lead];
        if (value < low) low = value;
        if (value > high) high = value;
      }
      return [low, high];
    });
    let gain = wanted || GAIN;
    const fit = () => placed(extents, gain, wide ? 10 : 25, wide ? 1 : 5);
    let found = fit();
    while (!wanted && found.height > HIGHEST && gain > SMALLEST_GAIN) { gain /= 2; found = fit(); }
    return {
      leads, rate, rows, middle, extents, gain, wide, left, pulse, ...found,
      width: above(left + (length / rate) * SPEED + 5),
    };
  }

  const number = (value) => String(Number(value.toPrecision(3)));

  /** Say speed and gain. */
  const scale = (laid) => `${SPEED} mm/s   ${number(laid.gain)} mm/mV${laid.gain < GAIN ? " (reduced)" : ""}`;

  /** Draw a sheet on a canvas of so many pixels, in the colours of the page. */
  function draw(canvas, laid, width, height) {
    const density = width / laid.width;
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    canvas.width = width;
    canvas.height = height;
    const pen = canvas.getContext("2d");
    pen.scale(density, height / laid.height);
    pen.fillStyle = colour("--ecg-paper");
    pen.fillRect(0, 0, laid.width, laid.height);
    const lines = (every, skip, width, ink) => {
      pen.beginPath();
      for (let x = 0; x <= laid.width; x += every) if (!skip || x % skip) { pen.moveTo(x, 0); pen.lineTo(x, laid.height); }
      for (let y = 0; y <= laid.height; y += every) if (!skip || y % skip) { pen.moveTo(0, y); pen.lineTo(laid.width, y); }
      pen.lineWidth = width;
      pen.strokeStyle = ink;
      pen.stroke();
    };
    if (density >= 2.2) lines(1, 5, 0.12, colour("--ecg-fine"));
    lines(5, 0, 0.2, colour("--ecg-bold"));
    pen.strokeStyle = pen.fillStyle = colour("--ecg-trace");
    pen.lineJoin = "round";
    pen.lineWidth = Math.max(0.3, 0.9 / density);
    laid.rows.forEach((row, r) => {
      const baseline = laid.baselines[r], gain = laid.gain;
      pen.beginPath();
      [[0, 0], [2.5, 0], [2.5, gain], [7.5, gain], [7.5, 0], [10, 0]].forEach(([x, y], i) =>
        (i ? pen.lineTo(laid.pulse + x, baseline - y) : pen.moveTo(laid.pulse + x, baseline - y)));
      row.forEach((part, column) => {
        const samples = laid.leads[part.lead], middle = laid.middle[part.lead];
        for (let i = part.first; i < part.last; i++) {
          const x = laid.left + (i / laid.rate) * SPEED, y = baseline - (samples[i] - middle) * gain;
          if (i > part.first) pen.lineTo(x, y); else pen.moveTo(x, y);
        }
        if (column) {
          const x = laid.left + (part.first / laid.rate) * SPEED;
          pen.moveTo(x, baseline - 2); pen.lineTo(x, baseline + 2);
        }
      });
      pen.stroke();
      pen.font = `600 4px ${FONT}`;
      pen.textAlign = "left";
      for (const part of row) {
        const x = laid.wide ? 2 : laid.left + (part.first / laid.rate) * SPEED + 1;
        pen.fillText(part.lead, x, laid.wide ? baseline + 1.4 : baseline - Math.max(laid.extents[r][1], 1) * gain - 1.2);
      }
    });
    pen.font = `3.2px ${FONT}`;
    pen.textAlign = "right";
    pen.fillText(scale(laid), laid.width - 2, laid.height - 1.8);
  }

  return { LEADS, unpack, sheet, draw, scale, number };
})();
