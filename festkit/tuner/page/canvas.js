// What all pictures of the page share: colours, canvases of the right size, drags, lines with a rim.

const COLOUR = {
  truth: "#56B4E9", strong: "#E69F00", weak: "#F0E442", missed: "#D55E00", alarm: "#CC79A7",
};
const INK = "rgba(0, 0, 0, 0.75)";
const FONT = "11px system-ui, sans-serif";
const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137],
  [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37],
];

/** The colour of a share in [0, 1]. */
function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[low].map((part, k) => part + (place - low) * (VIRIDIS[low + 1][k] - part));
}

/** A colour "#RRGGBB" as a word of ImageData (ABGR). */
function word(colour, alpha) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** A picture of its own: paint fills the pixels of its ImageData. */
function makePicture(width, height, paint) {
  const canvas = el("canvas", { width, height });
  const pixels = new ImageData(width, height);
  paint(pixels.data, new Uint32Array(pixels.data.buffer));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** Fit a canvas to its place on the page; gives a cleared pen in CSS px. */
function pen2d(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [wide, high] = [width, height].map((side) => Math.max(Math.round(side * ratio), 1));
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = FONT;
  return { pen, width, height, ratio };
}

/** Follow a pointer from its press on a canvas until it is released. */
function drag(canvas, press, onMove, onEnd = () => {}) {
  canvas.setPointerCapture(press.pointerId);
  const over = new AbortController();
  canvas.addEventListener("pointermove", onMove, over);
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      over.abort();
      onEnd();
    }, over);
  }
}

/** Draw a path once for each [colour, width]: a rim first, then the line. */
function strokes(pen, path, ...lines) {
  for (const [colour, width] of lines) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.stroke(path);
  }
}

/** Takes the strokes and texts of a pen as SVG elements. */
class VectorPen {
  constructor() {
    this.elements = [];
  }

  setTransform() {} // CSS px throughout

  /** An SVG file: a canvas as pixels under the elements. */
  file(canvas, width, height) {
    const picture = `<image width="${width}" height="${height}" href="${canvas.toDataURL()}"/>`;
    const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
    return [`<svg xmlns="http://www.w3.org/2000/svg" ${size}>`, picture, ...this.elements, "</svg>"].join("\n");
  }
}

/** A line along an SVG path, on a dark rim, so that it is seen on any ground. */
function stroke(pen, shape, colour, width, dashed = false) {
  if (pen instanceof VectorPen) {
    const line = (ink, wide, dash) => `<path d="${shape}" fill="none" stroke-linecap="round" stroke="${ink}" stroke-width="${wide}"${dash}/>`;
    pen.elements.push(line(INK, width + 2, ""), line(colour, width, dashed ? ' stroke-dasharray="5 4"' : ""));
    return;
  }
  const path = new Path2D(shape);
  pen.lineCap = "round";
  strokes(pen, path, [INK, width + 2]);
  pen.setLineDash(dashed ? [5, 4] : []);
  strokes(pen, path, [colour, width]);
  pen.setLineDash([]);
}

function write(pen, text, x, y, colour) {
  if (pen instanceof VectorPen) {
    const ink = `fill="${colour}" stroke="${INK}" stroke-width="3" paint-order="stroke"`;
    pen.elements.push(`<text x="${x}" y="${y}" style="font: 600 ${FONT}" ${ink}>${text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`)}</text>`);
    return;
  }
  pen.lineWidth = 3;
  pen.strokeStyle = INK;
  pen.strokeText(text, x, y);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

/** Name the axes of a chart, below and left of its box. */
function nameAxes(pen, { left, top, right, bottom }, across, upwards) {
  pen.textAlign = "center";
  pen.fillText(across, (left + right) / 2, bottom + 29);
  pen.save();
  pen.translate(11, (top + bottom) / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(upwards, 0, 0);
  pen.restore();
}
