// Two charts of the whole set: a metric over both thresholds, and Pd over Fa at the current th2.

const METRICS = {
  score: { name: "Score", scale: 100, digits: 2, unit: "%" },
  iou: { name: "IoU", scale: 100, digits: 2, unit: "%" },
  niou: { name: "nIoU", scale: 100, digits: 2, unit: "%" },
  pd: { name: "Pd", scale: 100, digits: 2, unit: "%" },
  fa: { name: "Fa", scale: 1e6, digits: 2, unit: "×10⁻⁶" },
};

/** A metric as text; – where it is undefined. */
function format(name, value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const { scale, digits } = METRICS[name];
  return (value * scale).toFixed(digits);
}

/** The metrics of a set over grid × grid thresholds, as the kernel sent them. */
class Surface {
  constructor(message, buffers, grid, ordered) {
    this.grid = grid;
    this.ordered = ordered; // th2 at most th1
    message.values.forEach((name, k) => {
      const view = buffers[k];
      const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
      this[name] = new Float64Array(bytes);
    });
  }

  /** Place of thresholds, in ticks, on the grid; -1 between its lines. */
  at(th1, th2) {
    const i = this.grid.indexOf(th1), j = this.grid.indexOf(th2);
    return i < 0 || j < 0 ? -1 : i * this.grid.length + j;
  }

  metrics(place) {
    return Object.fromEntries(Object.keys(METRICS).map((name) => [name, this[name][place]]));
  }

  /** How many th2 go with the th1 of this number. */
  below(i) {
    return this.ordered ? i + 1 : this.grid.length;
  }

  /** Place of the highest Score below a false-alarm rate; -1 if there is none. */
  best(maxFa) {
    const size = this.grid.length;
    let best = -1;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < this.below(i); j++) {
        const place = i * size + j;
        if (!(this.fa[place] < maxFa) || Number.isNaN(this.score[place])) continue;
        if (best < 0 || this.better(place, best)) best = place;
      }
    }
    return best;
  }

  /** Higher Score; then lower Fa; then th2 below th1; then higher th2, higher th1. */
  better(place, than) {
    const keys = (p) => {
      const i = Math.floor(p / this.grid.length), j = p % this.grid.length;
      return [this.score[p], -this.fa[p], j < i ? 1 : 0, j, i];
    };
    const ours = keys(place), theirs = keys(than);
    const k = ours.findIndex((key, n) => key !== theirs[n]);
    return k >= 0 && ours[k] > theirs[k];
  }

  thresholds(place) {
    return [this.grid[Math.floor(place / this.grid.length)], this.grid[place % this.grid.length]];
  }
}

/** Colours of the page's theme. */
function inks(element) {
  const style = getComputedStyle(element);
  return {
    text: style.getPropertyValue("--fk-text").trim() || "#222222",
    faint: style.getPropertyValue("--fk-faint").trim() || "#777777",
    line: style.getPropertyValue("--fk-line").trim() || "#cccccc",
    accent: style.getPropertyValue("--fk-accent").trim() || "#0072b2",
  };
}

/** A metric over th1 and th2: the limit of false alarms a line, the current thresholds a ring. */
class HeatMap {
  constructor(canvas, steps, faLimit, onPick, onStep) {
    this.canvas = canvas;
    this.onStep = onStep;
    this.steps = steps;
    this.faLimit = faLimit;
    this.onPick = onPick;
    this.metric = "score";
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!move || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.onStep(...move);
    });
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.surface || !this.inside(event)) return;
      drag(canvas, event, (now) => this.pick(now), () => this.onPick(null));
      this.pick(event);
    });
  }

  setSurface(surface) {
    this.surface = surface;
    this.picture = null;
  }

  setMetric(name) {
    this.metric = name;
    this.picture = null;
  }

  frame() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return { left: 52, top: 8, right: width - 62, bottom: height - 34 };
  }

  inside({ offsetX, offsetY }) {
    const { left, top, right, bottom } = this.frame();
    return offsetX >= left && offsetX <= right && offsetY >= top && offsetY <= bottom;
  }

  pick(event) {
    const { left, top, right, bottom } = this.frame();
    const size = this.surface.grid.length;
    const clamp = (share) => Math.min(Math.max(Math.floor(share * size), 0), size - 1);
    const i = clamp((event.offsetX - left) / (right - left));
    const j = clamp((bottom - event.offsetY) / (bottom - top));
    this.onPick([this.surface.grid[i], this.surface.grid[this.surface.ordered ? Math.min(i, j) : j]]);
  }

  /** Cells as a small picture, th1 to the right, th2 upwards; what is out of bounds is pale. */
  paint() {
    const values = this.surface[this.metric], { fa } = this.surface;
    const size = this.surface.grid.length;
    const place = this.metric === "fa" ? (value) => Math.log10(Math.max(value, 1e-7)) : (value) => value;
    const shown = [];
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < this.surface.below(i); j++) {
        const value = values[i * size + j];
        if (!Number.isNaN(value)) shown.push(place(value));
      }
    }
    shown.sort((a, b) => a - b);
    this.low = shown[Math.floor(0.02 * shown.length)] ?? 0;
    this.high = Math.max(shown[shown.length - 1] ?? 1, this.low + 1e-9);
    this.picture = makePicture(size, size, (pixels) => {
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < this.surface.below(i); j++) {
          const cell = i * size + j, value = values[cell];
          if (Number.isNaN(value)) continue;
          const invalid = this.metric === "score" && !(fa[cell] < this.faLimit);
          const colour = viridis((place(value) - this.low) / (this.high - this.low));
          pixels.set([...colour, invalid ? 90 : 255], 4 * ((size - 1 - j) * size + i));
        }
      }
    });
    this.limit = this.limitPath();
  }

  /** Edges between cells below and above the false-alarm limit, in cells. */
  limitPath() {
    const { fa, grid: { length: size } } = this.surface;
    const below = (i, j) => fa[i * size + j] < this.faLimit;
    const path = new Path2D();
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < this.surface.below(i); j++) {
        if (i + 1 < size && below(i, j) !== below(i + 1, j)) edge(i + 1, j, i + 1, j + 1);
        if (j + 1 < this.surface.below(i) && below(i, j) !== below(i, j + 1)) edge(i, j + 1, i + 1, j + 1);
      }
    }
    return path;

    function edge(i0, j0, i1, j1) {
      path.moveTo(i0, size - j0);
      path.lineTo(i1, size - j1);
    }
  }

  /** Cells and limit at this many CSS px, drawn anew only when they differ. */
  ground(width, height) {
    if (!this.picture) this.paint();
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    const { picture, canvas: drawn } = this.drawn ?? {};
    if (picture === this.picture && drawn.width === wide && drawn.height === high) return drawn;
    const canvas = el("canvas", { width: wide, height: high });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.picture, 0, 0, width, height);
    const size = this.surface.grid.length;
    const limit = new Path2D();
    limit.addPath(this.limit, new DOMMatrix([width / size, 0, 0, height / size, 0, 0]));
    strokes(pen, limit, ["#ffffff", 3.5], ["#111111", 1.5]);
    this.drawn = { picture: this.picture, canvas };
    return canvas;
  }

  draw(th1, th2, best) {
    const { pen } = pen2d(this.canvas);
    const ink = inks(this.canvas);
    const { left, top, right, bottom } = this.frame();
    const span = { x: right - left, y: bottom - top };
    const size = this.surface.grid.length;
    pen.drawImage(this.ground(span.x, span.y), left, top, span.x, span.y);
    const first = this.surface.grid[0], step = this.surface.grid[1] - first;
    const spot = (a, b) => [
      left + (((a - first) / step + 0.5) / size) * span.x,
      bottom - (((b - first) / step + 0.5) / size) * span.y,
    ];
    if (best >= 0) star(pen, ...spot(...this.surface.thresholds(best)), 7);
    ring(pen, ...spot(th1, th2), 7);
    this.drawAxes(pen, ink, { left, top, right, bottom }, spot);
    this.drawScale(pen, ink, { left: right + 10, top, bottom });
  }

  drawAxes(pen, ink, { left, top, right, bottom }, spot) {
    pen.fillStyle = ink.text;
    pen.strokeStyle = ink.line;
    pen.lineWidth = 1;
    pen.strokeRect(left + 0.5, top + 0.5, right - left, bottom - top);
    for (const threshold of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const [x, y] = spot(threshold * this.steps, threshold * this.steps);
      pen.textAlign = "center";
      pen.fillText(threshold.toString(), x, bottom + 14);
      pen.textAlign = "right";
      pen.fillText(threshold.toString(), left - 5, y + 4);
    }
    nameAxes(pen, { left, top, right, bottom }, "strong threshold th1", "weak threshold th2");
  }

  drawScale(pen, ink, { left, top, bottom }) {
    const fade = pen.createLinearGradient(0, bottom, 0, top);
    for (let k = 0; k <= 10; k++) fade.addColorStop(k / 10, `rgb(${viridis(k / 10).join(",")})`);
    pen.fillStyle = fade;
    pen.fillRect(left, top + 14, 10, bottom - top - 14);
    pen.fillStyle = ink.text;
    pen.textAlign = "left";
    const { name, unit } = METRICS[this.metric];
    const value = (share) => {
      const place = this.low + share * (this.high - this.low);
      return this.metric === "fa" ? (1e6 * 10 ** place).toPrecision(2) * 1 : (100 * place).toFixed(1);
    };
    pen.fillText(`${name} ${unit}`, left - 8, top + 6);
    for (const share of [0, 0.5, 1]) {
      pen.fillText(value(share), left + 14, bottom - share * (bottom - top - 18));
    }
  }
}

/** Pd over Fa of every th1, for one th2 of the grid: the one at or above the threshold now.
 * The line goes from th1 to th1, through the thresholds now. */
class Curve {
  constructor(canvas, faLimit) {
    this.canvas = canvas;
    this.faLimit = faLimit;
  }

  /** Column of the surface that is drawn for a th2. */
  column(surface, th2) {
    const j = surface.grid.findIndex((tick) => tick >= th2);
    return j < 0 ? surface.grid.length - 1 : j;
  }

  /** now: {fa, pd} at the thresholds as they are, if they are known. */
  draw(surface, th1, th2, now) {
    const { pen, width, height } = pen2d(this.canvas);
    const j = this.column(surface, th2);
    const size = surface.grid.length;
    const points = [];
    for (let i = surface.ordered ? j : 0; i < size; i++) points.push([surface.fa[i * size + j], surface.pd[i * size + j], surface.grid[i]]);
    this.line = now ? [...points.filter(([, , tick]) => tick !== th1), [now.fa, now.pd, th1]].sort((a, b) => a[2] - b[2]) : points;
    const most = Math.max(2 * this.faLimit, 1.25 * Math.min(now?.fa ?? 0, 20 * this.faLimit));
    const seen = points.filter(([fa]) => fa <= most);
    const low = Math.min(...seen.map(([, pd]) => pd), now?.pd ?? 1, 0.95);
    const floor = Math.max(0, Math.floor(low * 20 - 0.5) / 20);
    const box = { left: 52, top: 10, right: width - 12, bottom: height - 34 };
    const x = (fa) => box.left + (fa / most) * (box.right - box.left);
    const y = (pd) => box.bottom - ((pd - floor) / (1 - floor)) * (box.bottom - box.top);
    const ink = inks(this.canvas);
    this.drawAxes(pen, ink, box, { x, y, most, floor });
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top - 10, box.right - box.left, box.bottom - box.top + 18);
    pen.clip();
    pen.strokeStyle = pen.fillStyle = ink.accent;
    pen.lineWidth = 1.5;
    const line = new Path2D();
    for (const [fa, pd] of this.line) line.lineTo(x(fa), y(pd));
    pen.globalAlpha = 0.5;
    pen.stroke(line);
    pen.globalAlpha = 1;
    for (const [fa, pd] of seen) pen.fillRect(x(fa) - 2, y(pd) - 2, 4, 4);
    if (now) ring(pen, x(now.fa), y(now.pd), 6);
    pen.restore();
  }

  drawAxes(pen, ink, { left, top, right, bottom }, { x, y, most, floor }) {
    pen.strokeStyle = ink.line;
    pen.fillStyle = ink.text;
    pen.lineWidth = 1;
    for (const share of [0, 0.5, 1]) {
      const pd = floor + share * (1 - floor), v = y(pd), u = left + share * (right - left);
      pen.beginPath();
      pen.moveTo(left, v);
      pen.lineTo(right, v);
      pen.stroke();
      pen.textAlign = "right";
      pen.fillText((100 * pd).toFixed(pd === 1 ? 0 : 1), left - 5, v + 4);
      pen.textAlign = share === 1 ? "right" : "center";
      pen.fillText((share * most * 1e6).toFixed(0), u, bottom + 14);
    }
    pen.strokeStyle = ink.faint;
    pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.moveTo(x(this.faLimit), top);
    pen.lineTo(x(this.faLimit), bottom);
    pen.stroke();
    pen.setLineDash([]);
    nameAxes(pen, { left, top, right, bottom }, "Fa ×10⁻⁶", "Pd %");
  }
}

function ring(pen, x, y, radius) {
  const path = new Path2D();
  path.arc(x, y, radius, 0, 2 * Math.PI);
  strokes(pen, path, ["#111111", 4.5], ["#ffffff", 2.2]);
}

function star(pen, x, y, radius) {
  const path = new Path2D();
  for (let k = 0; k < 10; k++) {
    const reach = k % 2 ? 0.45 * radius : radius, turn = (k * Math.PI) / 5 - Math.PI / 2;
    path[k ? "lineTo" : "moveTo"](x + reach * Math.cos(turn), y + reach * Math.sin(turn));
  }
  path.closePath();
  strokes(pen, path, ["#111111", 2]);
  pen.fillStyle = "#ffffff";
  pen.fill(path);
}
