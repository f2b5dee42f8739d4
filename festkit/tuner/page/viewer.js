// The picture: an image with strong regions, weak centroids and truth over it, zoomed and dragged,
// and its targets enlarged beside it. Every kind of mark has a colour and a shape of its own.

const LENS = 32; // smallest side of what a lens shows, px of the image
const LENSES = 24; // at most
const PEAKS = 60; // crosses that are named by their peak, at most
const MARKS = 400; // frames around targets, at most

/** The gray levels of an image as a canvas; of an image without, its probabilities. */
function paintBase(image, stretched, steps) {
  const { width, height } = image;
  const values = image.gray || image.fused;
  const [low, high] = image.gray ? (stretched ? levels(image.gray) : [0, 255]) : [0, steps];
  return makePicture(width, height, (_, words) => {
    for (let i = 0; i < words.length; i++) {
      const level = Math.max(0, Math.min(255, Math.round(((values[i] - low) * 255) / (high - low))));
      words[i] = 0xff000000 | (level * 0x010101);
    }
  });
}

/** The 1st and the 99th percentile of the gray levels. */
function levels(gray) {
  const histogram = new Uint32Array(256);
  for (const level of gray) histogram[level] += 1;
  const rank = (share) => {
    let seen = 0;
    return histogram.findIndex((count) => (seen += count) > share * (gray.length - 1));
  };
  const low = rank(0.01);
  return [low, Math.max(rank(0.99), low + 8)];
}

/** The colour and opacity of a probability; `share` is its square root, so that low ones differ. */
function heatColour(share) {
  return [...viridis(share), share < 0.03 ? 0 : Math.min(255, 110 + 180 * share)];
}

/** The probabilities of an image as a see-through canvas. */
function paintHeat({ width, height, fused }, steps) {
  return makePicture(width, height, (pixels) => {
    for (let i = 0; i < fused.length; i++) pixels.set(heatColour(Math.sqrt(fused[i] / steps)), 4 * i);
  });
}

/** Positions in ascending order moved apart to a distance, within [low, high]. */
function spread(positions, distance, low, high) {
  const moved = positions.map((at) => at);
  for (let k = 1; k < moved.length; k++) moved[k] = Math.max(moved[k], moved[k - 1] + distance);
  moved[moved.length - 1] = Math.min(moved[moved.length - 1], high);
  for (let k = moved.length - 2; k >= 0; k--) moved[k] = Math.max(low, Math.min(moved[k], moved[k + 1] - distance));
  return moved;
}

/** The outline of a mask along its pixels' edges. */
function outline(mask, width, height) {
  const path = new Path2D();
  const at = (y, x) => (y >= 0 && x >= 0 && y < height && x < width ? mask[y * width + x] : 0);
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      if (Boolean(at(y, x)) !== Boolean(at(y - 1, x))) line(x, y, x + 1, y);
      if (Boolean(at(y, x)) !== Boolean(at(y, x - 1))) line(x, y, x, y + 1);
    }
  }
  return path;

  function line(...ends) {
    path.moveTo(ends[0], ends[1]);
    path.lineTo(ends[2], ends[3]);
  }
}

/** What became of every target: {outcome, y, x, box}, missed ones first, then false ones. */
function outcomes(image, result) {
  if (!image.truth) {
    const strong = result.strong.map((part) => spot("strong", part));
    return [...strong, ...result.weak.map((part) => spot("weak", part))];
  }
  const missed = [], hits = [];
  image.targets.forEach((part, k) => {
    if (result.match[k] < 0) missed.push(spot("missed", part));
    else hits.push(spot("found", part));
  });
  const alarms = result.predicted.filter((part) => !part.taken);
  return [...missed, ...alarms.map((part) => spot("alarm", part)), ...hits];

  function spot(outcome, part) {
    return { outcome, y: part.y, x: part.x, box: part.box };
  }
}

const MARK_COLOUR = {
  found: COLOUR.truth, missed: COLOUR.missed, alarm: COLOUR.alarm,
  strong: COLOUR.strong, weak: COLOUR.weak,
};
const MARK_NAME = {
  found: "found", missed: "missed", alarm: "false alarm", strong: "strong", weak: "weak",
};

/** The frame around a target as an SVG path: a circle if found, a square if missed, a diamond if false. */
function markShape(outcome, x, y, radius) {
  if (outcome === "missed") return `M${x - radius},${y - radius}h${2 * radius}v${2 * radius}h${-2 * radius}Z`;
  if (outcome === "alarm") {
    const reach = 1.3 * radius;
    return `M${x},${y - reach}L${x + reach},${y}L${x},${y + reach}L${x - reach},${y}Z`;
  }
  const arc = `a${radius},${radius} 0 1 0 `;
  return `M${x - radius},${y}${arc}${2 * radius},0${arc}${-2 * radius},0`;
}

/** Draws images into its canvases; holds the zoom and what is shown. */
class Viewer {
  constructor(main, lenses, steps, onMove) {
    this.main = main;
    this.lenses = lenses;
    this.steps = steps;
    this.onMove = onMove; // told what lies under the pointer
    this.stretched = true; // gray levels by percentiles
    this.layers = { heat: false, strong: true, weak: true, truth: true, marks: true };
    this.image = null;
    this.result = null;
    this.spots = [];
    this.zoom = { scale: 1, x: 0, y: 0 }; // CSS px per image px; image px at the left and top
    this.fitted = true;
    main.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    main.addEventListener("pointerdown", (event) => this.startDrag(event));
    main.addEventListener("pointermove", (event) => this.hover(event));
    main.addEventListener("pointerleave", () => this.onMove(null));
    main.addEventListener("dblclick", () => this.moved(() => this.fit()));
    lenses.addEventListener("click", (event) => this.pick(event));
  }

  setImage(image) {
    this.image = image;
    this.result = null;
    this.spots = [];
    this.truthPath = image.truth ? outline(image.truth, image.width, image.height) : null;
    this.heat = null;
    this.strong = new ImageData(image.width, image.height);
    this.paint = el("canvas", { width: image.width, height: image.height });
    this.target = -1; // none was gone to
    this.setBase();
    this.fit();
  }

  setBase() {
    if (this.image) this.base = paintBase(this.image, this.stretched, this.steps);
  }

  setResult(result) {
    this.result = result;
    this.spots = outcomes(this.image, result);
    this.paintStrong();
  }

  /** Strong regions as one see-through picture; those of false alarms in their own colour. */
  paintStrong() {
    const { mask, label, predicted } = this.result;
    const { width, truth } = this.image;
    const found = word(COLOUR.strong, 0xa0), alarm = word(COLOUR.alarm, 0xb0);
    const words = new Uint32Array(this.strong.data.buffer).fill(0);
    predicted.forEach(({ box: [y0, x0, y1, x1], taken }, k) => {
      const colour = truth && !taken ? alarm : found;
      for (let y = y0; y < y1; y++) {
        for (let i = y * width + x0; i < y * width + x1; i++) {
          if (mask[i] === 1 && label[i] === k + 1) words[i] = colour;
        }
      }
    });
    this.paint.getContext("2d").putImageData(this.strong, 0, 0);
  }

  fit() {
    if (!this.image) return;
    const { clientWidth, clientHeight } = this.main;
    const scale = Math.min(clientWidth / this.image.width, clientHeight / this.image.height);
    this.zoom = {
      scale,
      x: (this.image.width - clientWidth / scale) / 2,
      y: (this.image.height - clientHeight / scale) / 2,
    };
    this.fitted = true;
  }

  /** Show one pixel of the image as one pixel of the page. */
  actual() {
    this.zoomBy(1 / (this.zoom.scale * (window.devicePixelRatio || 1)));
  }

  /** Move by shares of what is seen. */
  pan(across, down) {
    const { scale } = this.zoom;
    this.moved(() => {
      this.zoom.x += (across * this.main.clientWidth) / scale;
      this.zoom.y += (down * this.main.clientHeight) / scale;
    });
  }

  /** Change the view by hand, and have it painted. */
  moved(change) {
    this.fitted = false;
    change();
    this.onMove(undefined);
  }

  /** Zoom by a factor, what is under a point of the canvas staying there. */
  zoomBy(factor, px = this.main.clientWidth / 2, py = this.main.clientHeight / 2) {
    const { scale, x, y } = this.zoom;
    const next = Math.min(Math.max(scale * factor, 0.1), 80);
    this.moved(() => {
      this.zoom = { scale: next, x: x + px / scale - px / next, y: y + py / scale - py / next };
    });
  }

  /** Show a place of the image in the middle. */
  centre(y, x, scale) {
    const { clientWidth, clientHeight } = this.main;
    this.moved(() => {
      this.zoom = {
        scale, x: x + 0.5 - clientWidth / scale / 2, y: y + 0.5 - clientHeight / scale / 2,
      };
    });
  }

  wheel(event) {
    event.preventDefault();
    event.stopPropagation();
    this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), event.offsetX, event.offsetY);
  }

  startDrag(event) {
    if (event.button) return;
    const from = { ...this.zoom, px: event.clientX, py: event.clientY };
    drag(this.main, event, (now) => {
      this.moved(() => {
        this.zoom.x = from.x - (now.clientX - from.px) / from.scale;
        this.zoom.y = from.y - (now.clientY - from.py) / from.scale;
      });
    });
  }

  hover(event) {
    if (!this.image) return;
    const x = Math.floor(this.zoom.x + event.offsetX / this.zoom.scale);
    const y = Math.floor(this.zoom.y + event.offsetY / this.zoom.scale);
    const inside = x >= 0 && y >= 0 && x < this.image.width && y < this.image.height;
    this.onMove(inside ? { y, x } : null);
  }

  pick(event) {
    this.goTo(Math.floor(event.offsetY / (this.lenses.clientWidth + 6)));
  }

  /** Enlarge the target of this number in the middle. */
  goTo(number) {
    const spot = this.spots[number];
    if (spot) this.centre(spot.y, spot.x, this.main.clientHeight / (2 * this.lensSide(spot)));
  }

  nextTarget() {
    this.target = (this.target + 1) % Math.max(this.spots.length, 1);
    this.goTo(this.target);
  }

  lensSide(spot) {
    const [y0, x0, y1, x1] = spot.box;
    const { width, height } = this.image;
    return Math.min(Math.max(LENS, 2 * (y1 - y0), 2 * (x1 - x0)), width, height);
  }

  /** Show no image, until the next one is there. */
  clear() {
    this.image = this.result = null;
    this.spots = [];
  }

  draw() {
    if (this.fitted) this.fit();
    const { pen, ratio } = this.drawGround();
    const lenses = pen2d(this.lenses);
    if (!this.image || !this.result) return;
    this.drawLenses(lenses);
    this.drawSymbols(pen, ratio);
    if (this.layers.heat) this.drawScale(pen);
  }

  /** What lies under the symbols: image and layers. */
  drawGround() {
    const main = pen2d(this.main);
    const { pen, width, height, ratio } = main;
    pen.fillStyle = "#1b1d21";
    pen.fillRect(0, 0, width, height);
    if (this.image && this.result) this.drawScene(pen, ratio, { ...this.zoom, px: 0, py: 0 });
    return main;
  }

  /** Frames around targets, crosses of weak ones and their peaks, in CSS px. */
  drawSymbols(pen, ratio) {
    const view = { ...this.zoom, px: 0, py: 0 };
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.layers.weak) this.drawWeak(pen, view);
    if (this.layers.marks) this.drawMarks(pen);
    if (this.layers.weak) this.namePeaks(pen, view);
  }

  /** What is shown as an SVG file: image and layers as pixels, symbols as shapes. */
  toSvg() {
    const { pen, width, height, ratio } = this.drawGround();
    if (this.layers.heat) this.drawScale(pen);
    const symbols = new VectorPen();
    this.drawSymbols(symbols, ratio);
    const file = symbols.file(this.main, width, height);
    this.draw();
    return file;
  }

  /** The colours of the probability layer, with both thresholds. */
  drawScale(pen) {
    const left = this.main.clientWidth - 84, top = this.main.clientHeight - 190;
    const { th1, th2 } = this.result;
    const low = top + 160, length = 132;
    pen.fillStyle = "#1b1d21";
    pen.fillRect(left, top, 76, 182);
    for (let k = 0; k < length; k++) {
      pen.fillStyle = `rgb(${viridis(k / length).join(",")})`;
      pen.fillRect(left + 8, low - k, 12, -1);
    }
    const ticks = [[this.steps, "1"], [th1, `th1 ${threshold(th1, this.steps)}`], [th2, `th2 ${threshold(th2, this.steps)}`], [0, "0"]]
      .map(([tick, text]) => ({ text, y: low - length * Math.sqrt(tick / this.steps) }))
      .sort((a, b) => a.y - b.y);
    const places = spread(ticks.map(({ y }) => y), 13, low - length, low);
    this.ticks = ticks.map(({ text }, k) => [text, places[k]]);
    pen.fillStyle = pen.strokeStyle = "#ffffff";
    pen.lineWidth = 1;
    pen.font = FONT;
    pen.textAlign = "left";
    pen.fillText("probability", left + 8, top + 15);
    ticks.forEach(({ text, y }, k) => {
      pen.stroke(new Path2D(`M${left + 17},${y}H${left + 21}L${left + 24},${places[k]}`));
      pen.fillText(text, left + 26, places[k] + 4);
    });
  }

  /** Image and layers, as a view of the image shows them: image px (x, y) at CSS px (px, py). */
  drawScene(pen, ratio, { scale, x, y, px, py }) {
    const step = scale * ratio;
    pen.setTransform(step, 0, 0, step, (px - x * scale) * ratio, (py - y * scale) * ratio);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.base, 0, 0);
    if (this.layers.heat) {
      this.heat ??= paintHeat(this.image, this.steps);
      pen.drawImage(this.heat, 0, 0);
    }
    if (this.layers.strong) pen.drawImage(this.paint, 0, 0);
    if (this.layers.truth && this.truthPath) {
      pen.lineWidth = 1.6 / scale;
      pen.strokeStyle = COLOUR.truth;
      pen.stroke(this.truthPath);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** Centroids of weak targets in CSS px, with their peaks, and how far their crosses reach. */
  weakPlaces({ scale, x, y, px, py }) {
    const places = this.result.weak.map((part) => [
      px + (part.column + 0.5 - x) * scale, py + (part.row + 0.5 - y) * scale, part.peak,
    ]);
    return [places, Math.max(5, 0.5 * scale)];
  }

  drawWeak(pen, view) {
    const [places, arm] = this.weakPlaces(view);
    if (!places.length) return;
    const crosses = places.map(([u, v]) => (
      `M${u - arm},${v - arm}L${u + arm},${v + arm}M${u - arm},${v + arm}L${u + arm},${v - arm}`
    )).join("");
    stroke(pen, crosses, COLOUR.weak, 2);
  }

  /** Write the peaks where there is room, the highest first. */
  namePeaks(pen, view) {
    const [places, arm] = this.weakPlaces(view);
    pen.font = `600 ${FONT}`;
    pen.textAlign = "left";
    this.peaks = [];
    for (const [u, v, peak] of places.sort((a, b) => b[2] - a[2]).slice(0, PEAKS)) {
      const free = [[arm + 4, -arm], [arm + 4, arm + 10], [-arm - 36, -arm], [-arm - 36, arm + 10]]
        .map(([right, down]) => [u + right, v + down])
        .find(([left, base]) => this.peaks.every(([x1, y1]) => Math.abs(x1 - left) > 36 || Math.abs(y1 - base) > 12));
      if (!free) continue;
      this.peaks.push(free);
      write(pen, (peak / this.steps).toFixed(10 * peak < this.steps ? 3 : 2), ...free, COLOUR.weak);
    }
  }

  drawMarks(pen) {
    const { scale, x, y } = this.zoom;
    for (const { outcome, box: [y0, x0, y1, x1] } of this.spots.slice(0, MARKS)) {
      if (outcome === "weak") continue;
      const radius = (Math.max(y1 - y0, x1 - x0) * scale) / 2 + 8;
      const u = ((x0 + x1) / 2 - x) * scale, v = ((y0 + y1) / 2 - y) * scale;
      stroke(pen, markShape(outcome, u, v, radius), MARK_COLOUR[outcome], 2, outcome === "missed");
    }
  }

  drawLenses({ pen, width: side, height, ratio }) {
    this.spots.slice(0, LENSES).forEach((spot, k) => {
      const top = k * (side + 6);
      if (top > height) return;
      const window = this.lensSide(spot);
      const [y0, x0, y1, x1] = spot.box;
      const clamp = (value, most) => Math.min(Math.max(value, 0), most);
      const y = clamp((y0 + y1 - window) / 2, this.image.height - window);
      const x = clamp((x0 + x1 - window) / 2, this.image.width - window);
      pen.save();
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.beginPath();
      pen.rect(0, top, side, side);
      pen.clip();
      const view = { scale: side / window, x, y, px: 0, py: top };
      this.drawScene(pen, ratio, view);
      if (this.layers.weak) {
        this.drawWeak(pen, view);
        this.namePeaks(pen, view);
      }
      pen.strokeStyle = MARK_COLOUR[spot.outcome];
      pen.lineWidth = 5;
      pen.strokeRect(0, top, side, side);
      drawLabel(pen, spot.outcome, 4, top + side - 5, side);
      pen.restore();
    });
  }
}

/** Name and shape of an outcome on a dark ground, at the lower left of a lens. */
function drawLabel(pen, outcome, x, y, side) {
  pen.font = `600 ${FONT}`;
  const width = Math.min(pen.measureText(MARK_NAME[outcome]).width + 24, side - 8);
  pen.fillStyle = "rgba(0, 0, 0, 0.78)";
  pen.fillRect(x, y - 16, width, 18);
  stroke(pen, markShape(outcome, x + 10, y - 7, outcome === "alarm" ? 4 : 4.5), MARK_COLOUR[outcome], 1.6);
  pen.fillStyle = "#ffffff";
  pen.fillText(MARK_NAME[outcome], x + 20, y - 3);
}
