// The controls as plain elements: sliders, fields, buttons, tiles, the list of images.

/** An element with properties, classes and children: el("button.quiet", {title}, "Save"). */
function el(kind, properties = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  for (const name of classes) element.classList.add(`fk-${name}`);
  const { data, ...own } = properties;
  Object.assign(element, own);
  for (const [name, value] of Object.entries(data || {})) element.dataset[name] = value;
  element.append(...children);
  return element;
}

/** A threshold in ticks as people read it. */
function threshold(tick, steps) {
  return (tick / steps).toFixed(tick % 10 ? 4 : 3);
}

/** A button that acts: button("save", "Save", "what it does", () => ...). */
function button(name, label, title, onclick, kind = "button") {
  return el(kind, { title, onclick, ariaLabel: kind === "button" ? null : title, data: { name } }, label);
}

/** A threshold: slider over the grid and a field for any value with four decimals. */
class ThresholdControl {
  constructor(name, hint, { steps, grid }, onChange) {
    this.steps = steps;
    this.slider = el("input.slider", {
      type: "range", min: grid[0], max: grid[grid.length - 1], step: grid[1] - grid[0],
      title: hint, data: { name },
    });
    this.slider.setAttribute("aria-label", name);
    this.field = el("input.field", {
      type: "number", min: 0, max: 1, step: 0.0001, title: `${hint}; 0 to 1, four decimals`, data: { name },
    });
    this.field.setAttribute("aria-label", `${name}, number`);
    this.element = el("div.threshold", { data: { name } },
      el("span.name", { title: hint }, name), this.slider, this.field);
    this.slider.addEventListener("input", () => onChange(Number(this.slider.value), false));
    this.slider.addEventListener("change", () => onChange(Number(this.slider.value), true));
    this.field.addEventListener("change", () => this.typed(onChange));
    this.field.addEventListener("input", () => this.field.classList.remove("fk-wrong"));
  }

  typed(onChange) {
    const value = Number(this.field.value);
    if (this.field.value.trim() === "" || !(value >= 0 && value <= 1)) {
      this.field.classList.add("fk-wrong");
      this.field.title = `${this.field.value || "nothing"} is no probability; type a number from 0 to 1`;
      return;
    }
    this.shown = null; // so that the field shows what was taken of it
    onChange(Math.round(value * this.steps), true);
  }

  /** Show a threshold; what is being typed stays until the threshold changes. */
  show(tick) {
    if (tick === this.shown) return;
    this.shown = tick;
    this.slider.value = tick;
    this.slider.style.setProperty("--at", `${(100 * (tick - this.slider.min)) / (this.slider.max - this.slider.min)}%`);
    this.field.value = threshold(tick, this.steps);
    this.field.classList.remove("fk-wrong");
  }
}

/** The metrics of the set, each with its interval, and the thresholds they belong to. */
class Tiles {
  constructor() {
    this.label = el("span.label");
    this.remark = el("span.label");
    this.row = el("div.tiles");
    this.element = el("div.figures", {}, this.label, " ", this.remark, this.row);
    this.tiles = new Map();
  }

  /** Say what is under way. */
  note(text) {
    this.remark.textContent = text;
  }

  /** entries: [name, value text, interval text, note]; fresh: whether they are of the thresholds now. */
  show(label, entries, fresh) {
    this.label.textContent = label;
    this.element.classList.toggle("fk-stale", !fresh);
    for (const [name, value, interval, note] of entries) {
      if (!this.tiles.has(name)) {
        const parts = { value: el("b"), interval: el("small"), tile: el("div.tile", { data: { name } }) };
        parts.tile.append(el("span", {}, name), parts.value, parts.interval);
        this.row.append(parts.tile);
        this.tiles.set(name, parts);
      }
      const { tile, value: text, interval: small } = this.tiles.get(name);
      text.textContent = value;
      small.textContent = interval;
      tile.classList.toggle("fk-invalid", Boolean(note));
      tile.title = note || "";
    }
  }
}

const SHOWN = {
  all: ["all images", () => true],
  missed: ["has misses", (row) => row.missed > 0],
  alarms: ["has false alarms", (row) => row.falsePixels > 0],
  changed: ["changes since the pin", (row) => row.changed],
};
const ORDERS = {
  index: ["in order", (row) => row.index],
  missed: ["most misses", (row) => -row.missed],
  alarms: ["most false pixels", (row) => -row.falsePixels],
  iou: ["lowest IoU", (row) => row.iou],
  targets: ["most targets", (row) => -row.strong - row.weak],
};

/** The images as a list that is filtered and sorted by what the thresholds give on them. */
class ImageList {
  constructor(names, truth, onPick) {
    this.names = names;
    this.truth = truth;
    this.rows = names.map((name, index) => ({ index, name }));
    this.onPick = onPick;
    this.thumbnails = [];
    const choices = (options, kept) => kept.map((key) => el("option", { value: key }, options[key][0]));
    this.filter = el("select.choice", { title: "which images are listed", data: { name: "filter" } },
      ...choices(SHOWN, truth ? Object.keys(SHOWN) : ["all", "changed"]));
    this.order = el("select.choice", { title: "in which order", data: { name: "order" } },
      ...choices(ORDERS, truth ? Object.keys(ORDERS) : ["index", "targets"]));
    this.note = el("span.note");
    this.body = el("div.rows", { tabIndex: 0, role: "listbox", ariaLabel: "images" });
    this.element = el("div.list", {}, el("div.choices", {}, this.filter, this.order), this.body, this.note);
    for (const select of [this.filter, this.order]) {
      select.addEventListener("change", () => this.render());
    }
    this.body.addEventListener("keydown", (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      this.onPick(this.step(by));
    });
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest(".fk-row");
      if (row) this.onPick(Number(row.dataset.index));
    });
    this.index = 0;
    this.render();
  }

  setRows(rows, note) {
    this.rows = rows;
    this.note.textContent = note;
    this.render();
  }

  /** Squares of gray levels, one after the other. */
  setThumbnails(side, gray) {
    this.thumbnails = this.names.map((_, index) => paintBase(
      { width: side, height: side, gray: gray.subarray(index * side * side, (index + 1) * side * side) }, true));
    this.render();
  }

  get shown() {
    return this.listed.map((row) => row.index);
  }

  render() {
    const known = this.rows[0].marks !== undefined;
    const [, keep] = SHOWN[known ? this.filter.value : "all"];
    const [, key] = ORDERS[known ? this.order.value : "index"];
    this.listed = this.rows.filter(keep).sort((a, b) => key(a) - key(b) || a.index - b.index);
    this.body.replaceChildren(...this.listed.map((row) => this.row(row, known)));
    if (!this.listed.length) this.body.append(el("div.empty", {}, "no such image at these thresholds"));
    this.select(this.index);
  }

  row(row, known) {
    const cells = [...(this.thumbnails[row.index] ? [this.thumbnails[row.index]] : []), el("span.imagename", { title: row.name }, row.name)];
    const chips = el("div.chips");
    if (known && this.truth) {
      cells.push(el("span.count", { title: "found of true targets" }, `${row.detected}/${row.targets}`));
      if (row.missed) chips.append(el("i.missed", { title: "missed targets" }, `${row.missed} missed`));
      if (row.falsePixels) chips.append(el("i.alarm", { title: "pixels of false alarms" }, `${row.falsePixels} px false`));
    } else if (known) {
      chips.append(el("span.count", {}, `${row.strong} strong, ${row.weak} weak`));
    }
    if (row.changed) chips.append(el("span.changed", { title: "changed since the pin" }, "● changed"));
    cells.push(chips);
    return el("div.row", { role: "option", data: { index: row.index } }, ...cells);
  }

  select(index) {
    this.index = index;
    for (const row of this.body.querySelectorAll(".fk-row")) {
      const on = Number(row.dataset.index) === index;
      row.classList.toggle("fk-on", on);
      row.ariaSelected = on;
      if (on) keepInView(this.body, row);
    }
  }

  /** The image so many places on in the list, from the one that is shown. */
  step(by) {
    const shown = this.shown;
    if (!shown.length) return this.index;
    const place = shown.indexOf(this.index);
    return shown[Math.min(Math.max(place + by, 0), shown.length - 1)];
  }
}

/** Scroll a box, and nothing around it, until a row is seen. */
function keepInView(box, row) {
  const above = row.offsetTop - box.offsetTop - box.scrollTop;
  if (above < 0) box.scrollTop += above;
  else if (above + row.offsetHeight > box.clientHeight) {
    box.scrollTop += above + row.offsetHeight - box.clientHeight;
  }
}
