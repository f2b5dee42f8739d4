// Adjustable sensitivity and its counts on one image, as festkit.sensitivity and festkit.metrics
// define them. A map holds ticks: for every pixel, how many thresholds k / steps lie below its
// probability. So "probability above k / steps" is "tick above k", exactly.

const MATCH_DISTANCE = 3; // px; closer centroids match

/** The buffers that detecting on images of one size needs, made once. */
function makeScratch(size) {
  return {
    label: new Int32Array(size), // of the components found last, from 1
    stack: new Int32Array(size),
    mask: new Uint8Array(size),
  };
}

/**
 * The 8-connected components of `values > floor`, in raster order of their first pixels.
 * `scratch.label` holds their numbers, from 1. A component `touches` where `met` is not 0.
 */
function findComponents(values, floor, width, height, scratch, met = null) {
  const { label, stack } = scratch;
  const found = [];
  label.fill(0);
  for (let start = 0; start < values.length; start++) {
    if (values[start] <= floor || label[start]) continue;
    const number = found.length + 1;
    const part = { first: start, area: 0, sumY: 0, sumX: 0, peak: 0, touches: false };
    let top = height, left = width, bottom = 0, right = 0, depth = 1;
    stack[0] = start;
    label[start] = number;
    while (depth) {
      const pixel = stack[--depth];
      const y = (pixel / width) | 0;
      const x = pixel - y * width;
      part.area += 1;
      part.sumY += y;
      part.sumX += x;
      if (values[pixel] > part.peak) part.peak = values[pixel];
      if (met && met[pixel]) part.touches = true;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
      if (x < left) left = x;
      if (x > right) right = x;
      for (let v = y > 0 ? y - 1 : y; v <= y + 1 && v < height; v++) {
        for (let u = x > 0 ? x - 1 : x; u <= x + 1 && u < width; u++) {
          const next = v * width + u;
          if (values[next] > floor && !label[next]) {
            label[next] = number;
            stack[depth++] = next;
          }
        }
      }
    }
    part.y = part.sumY / part.area;
    part.x = part.sumX / part.area;
    part.box = [top, left, bottom + 1, right + 1];
    found.push(part);
  }
  return found;
}

/** For every true target the predicted one it takes, or -1: the first that is close enough. */
function matchTargets(predicted, truth) {
  const taken = new Uint8Array(predicted.length);
  return truth.map((target) => {
    const index = predicted.findIndex((other, k) => {
      const dy = other.y - target.y, dx = other.x - target.x;
      return !taken[k] && Math.sqrt(dy * dy + dx * dx) < MATCH_DISTANCE;
    });
    if (index >= 0) taken[index] = 1;
    return index;
  });
}

/**
 * Strong and weak targets of an image, and what they count against its truth.
 *
 * image: {width, height, fused, scales, truth, targets, scratch}; th1 and th2 in ticks.
 * Weak targets come from every scale's own map in order, or from the fused one: a component that
 * meets neither a strong pixel nor a centroid of an earlier scale adds its centroid pixel.
 */
function detect(image, th1, th2, rule) {
  const { width, height, fused, scratch } = image;
  const { mask, label } = scratch;
  const strong = findComponents(fused, th1, width, height, scratch);
  for (let i = 0; i < mask.length; i++) mask[i] = label[i] ? 1 : 0;
  const weak = [];
  const maps = rule === "per_scale" && image.scales.length ? image.scales : [fused];
  for (const map of maps) {
    const lone = findComponents(map, th2, width, height, scratch, mask).filter((c) => !c.touches);
    for (const part of lone) {
      part.row = Math.floor(part.sumY / part.area);
      part.column = Math.floor(part.sumX / part.area);
      weak.push(part);
    }
    for (const part of lone) {
      const pixel = part.row * width + part.column;
      if (!mask[pixel]) mask[pixel] = 2;
    }
  }
  const predicted = findComponents(mask, 0, width, height, scratch);
  const match = image.truth ? matchTargets(predicted, image.targets) : [];
  for (const part of predicted) part.taken = false;
  for (const index of match) if (index >= 0) predicted[index].taken = true;
  return { th1, th2, rule, mask, label, strong, weak, predicted, match, counts: count() };

  function count() {
    let covered = 0, shared = 0, matched = 0;
    for (let i = 0; i < mask.length; i++) {
      if (!mask[i]) continue;
      covered += 1;
      if (image.truth && image.truth[i]) shared += 1;
    }
    for (const part of predicted) if (part.taken) matched += part.area;
    return {
      pixels: mask.length,
      intersection: shared,
      predicted: covered,
      true: image.truthPixels,
      targets: image.targets.length,
      detected: match.filter((index) => index >= 0).length,
      false_pixels: covered - matched,
    };
  }
}

/** An image message and its buffers, made ready for detecting. */
function openImage(message, buffers) {
  const { width, height } = message;
  const copy = (view) =>
    view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const [gray, truth, ...maps] = buffers.map(copy);
  const [fused, ...scales] = maps.map((buffer) => new Uint16Array(buffer));
  const image = {
    index: message.index,
    name: message.name,
    width,
    height,
    gray: gray.byteLength ? new Uint8Array(gray) : null,
    truth: truth.byteLength ? new Uint8Array(truth) : null,
    fused,
    scales,
    scratch: makeScratch(width * height),
    targets: [],
    truthPixels: 0,
  };
  if (image.truth) {
    image.targets = findComponents(image.truth, 0, width, height, image.scratch);
    image.truthPixels = image.targets.reduce((sum, part) => sum + part.area, 0);
  }
  return image;
}
