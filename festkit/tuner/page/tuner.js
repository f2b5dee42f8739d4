// The tuner. The thresholds live here. The kernel sends images, exact metrics once the thresholds
// rest, and the surface; it is asked for nothing while they move.

const REST_MS = 180; // without a change, after which the kernel is asked for metrics
const HIDDEN_MS = 200; // until a page without a size (while its theme changes) is tried again
const SYNC_MS = 120; // between two messages to the kernel while a slider moves
const KEPT_BYTES = 96 * 1024 * 1024; // of images in the page
const PAPER = [5000, 1000]; // ticks
const SLOW_MS = 4000; // without progress, after which compiling is named as a likely reason
const KEYS = {
  "← →": "previous or next image",
  "+ −": "zoom in or out",
  "0 1": "whole image, or one image pixel per screen pixel",
  "Shift + arrows": "move the image",
  "t": "go to the next target",
  "Tab, arrows": "sliders: one step; score map: th1 and th2; list: images",
  "Page Up, Page Down": "sliders: larger steps",
  "? Esc": "open or close this list",
};

class Tuner {
  constructor(model, root) {
    this.model = model;
    this.setup = model.get("setup");
    this.root = root;
    this.images = new Map(); // by index, the last used last
    this.asked = new Set();
    this.known = new Map(); // metrics by thresholds
    this.surfaces = {};
    this.surfaceAsked = null; // the rule whose surface was asked for last
    this.index = model.get("index");
    this.rule = model.get("rule");
    [this.th1, this.th2] = ["th1", "th2"].map((name) => this.tick(model.get(name)));
    this.first = [this.th1, this.th2, this.rule];
    this.pinned = null;
    this.build();
    this.listen();
    this.show(this.index);
    this.askSurface();
    this.scheduleMetrics();
  }

  tick(threshold) {
    return Math.round(threshold * this.setup.steps);
  }

  text(tick) {
    return threshold(tick, this.setup.steps);
  }

  /** Thresholds, and rule where there are two, as a label. */
  label({ th1, th2, rule }) {
    const named = this.setup.scales ? `, ${rule === "fused" ? "fused map" : "every scale"}` : "";
    return `th1 ${this.text(th1)}, th2 ${this.text(th2)}${named}`;
  }

  /** Whether th2 stays at or below th1: above it only a scale's own map has weak targets. */
  ordered(rule) {
    return rule === "fused" || !this.setup.scales;
  }

  get key() {
    return `${this.th1} ${this.th2} ${this.rule}`;
  }

  // Elements of the page.

  build() {
    const { setup } = this;
    const picture = (kind, ariaLabel, more = {}) => el(`canvas.${kind}`, { role: "img", ariaLabel, ...more });
    const main = picture("main", "image with its targets", { title: "wheel: zoom, drag: move, double click: whole image" });
    const lenses = picture("lenses", "targets enlarged", { title: "targets enlarged; click to go there" });
    this.viewer = new Viewer(main, lenses, setup.steps, (place) => this.showPixelInfo(place));
    this.heat = new HeatMap(picture("heat", "metric over th1 and th2; arrow keys move the thresholds", { tabIndex: 0, title: "click, drag or arrow keys set both thresholds" }),
      setup.steps, setup.faLimit, (picked) => this.picked(picked), (across, up) => this.step(across, up));
    this.curve = new Curve(picture("curve", "Pd over Fa"), setup.faLimit);
    this.controls = [
      new ThresholdControl("th1", "strong targets lie above", setup, (tick, end) => this.move("th1", tick, end)),
      new ThresholdControl("th2", "weak targets lie above", setup, (tick, end) => this.move("th2", tick, end)),
    ];
    this.tiles = new Tiles();
    this.list = new ImageList(setup.names, setup.truth, (index) => this.show(index));
    this.headline = el("span.headline");
    this.where = el("span.where");
    this.message = el("div.message", { role: "status", ariaLive: "polite" });
    this.help = this.helpPanel();
    this.root.append(this.header(), this.tiles.element, el("div.body", {}, this.list.element,
      el("div.left", {}, this.bar(),
        el("div.stage", {}, el("div.view", {}, main, this.zoomButtons(), this.where, this.help), lenses), this.legend()),
      el("div.right", {}, ...this.panel())));
  }

  helpPanel() {
    const entries = Object.entries(KEYS).flatMap(([keys, effect]) => [el("dt", {}, keys), el("dd", {}, effect)]);
    return el("div.help", { hidden: true, role: "dialog", ariaLabel: "keys", tabIndex: -1 }, el("b", {}, "Keys"), el("dl", {}, ...entries));
  }

  toggleHelp(shown = this.help.hidden) {
    this.help.hidden = !shown;
    (shown ? this.help : this.root).focus();
  }

  zoomButtons() {
    const { viewer } = this;
    const quiet = (name, label, title, act) => button(name, label, title, act, "button.quiet");
    return el("div.zoom", {},
      quiet("in", "+", "zoom in (+)", () => viewer.zoomBy(1.3)),
      quiet("out", "−", "zoom out (−)", () => viewer.zoomBy(1 / 1.3)),
      quiet("actual", "1:1", "one image pixel per screen pixel (1)", () => viewer.actual()),
      quiet("fit", "fit", "whole image (0)", () => viewer.moved(() => viewer.fit())));
  }

  header() {
    const close = button("close", "×", "close this message (Esc)", () => this.setMessage(""), "button.quiet");
    return el("div.header", {}, el("b", {}, "Thresholds"), el("span.title", {}, this.setup.title), el("span.spring"),
      button("help", "?", "all keys (?)", () => this.toggleHelp(), "button.quiet"),
      button("picture", "PNG", "download the image as it is shown, as pixels", () => this.downloadPicture()),
      button("drawing", "SVG", "download the image as it is shown, its marks as shapes", () => this.downloadDrawing()),
      button("table", "CSV", "download the metrics of every image", () => this.downloadTable()),
      button("copy", "Copy as code", "Python with these thresholds", () => this.copy()),
      ...(this.setup.keeps ? [button("save", "Save", "write thresholds and metrics to the run and a FEST", () => this.save())] : []),
      el("div.toast", {}, this.message, close));
  }

  bar() {
    const go = (by) => () => this.show(this.list.step(by));
    return el("div.bar", {},
      button("previous", "‹", "previous image (left arrow)", go(-1), "button.quiet"),
      button("next", "›", "next image (right arrow)", go(1), "button.quiet"),
      this.headline);
  }

  /** Legend and switches in one: every layer with its marks, pressed while it is shown. */
  legend() {
    const { truth } = this.setup;
    const kinds = truth ? ["found", "missed", "alarm"] : ["strong"];
    const layers = {
      heat: ["probability"],
      strong: [icon("region"), "strong", ...(truth ? [icon("wrong"), "strong, false"] : [])],
      weak: [icon("weak"), "weak, its peak"],
      ...(this.setup.truth ? { truth: [icon("truth"), "truth"] } : {}),
      marks: kinds.flatMap((kind) => [icon(kind), MARK_NAME[kind]]),
    };
    const toggles = Object.entries(layers).map(([layer, parts]) => {
      const button = el("button.toggle", { title: "show or hide", data: { layer } }, ...parts);
      const press = () => button.setAttribute("aria-pressed", this.viewer.layers[layer]);
      button.addEventListener("click", () => {
        this.viewer.layers[layer] = !this.viewer.layers[layer];
        press();
        this.paint();
      });
      press();
      return button;
    });
    const contrast = el("select.choice", { title: "contrast", ariaLabel: "contrast", data: { name: "contrast" } },
      el("option", { value: "percentiles" }, "contrast 1–99 %"), el("option", { value: "full" }, "full range"));
    contrast.addEventListener("change", () => {
      this.viewer.stretched = contrast.value === "percentiles";
      this.viewer.setBase();
      this.paint();
    });
    return el("div.legend", {}, ...(this.setup.images ? [contrast] : []), ...toggles);
  }

  panel() {
    const { setup } = this;
    this.budget = el("input.field", { type: "number", min: 0, step: 10, value: setup.faLimit * 1e6, title: "largest Fa, ×10⁻⁶", data: { name: "budget" } });
    this.metric = el("select.choice", { title: "metric of the map", data: { name: "figure" } },
      ...Object.entries(METRICS).map(([name, entry]) => el("option", { value: name }, entry.name)));
    this.metric.addEventListener("change", () => {
      this.heat.setMetric(this.metric.value);
      this.paint();
    });
    this.budget.addEventListener("change", () => this.paint());
    const rules = el("select.choice", { title: "where weak targets come from", data: { name: "rule" } },
      el("option", { value: "per_scale" }, "weak: per scale"),
      el("option", { value: "fused" }, "weak: fused map"));
    this.rules = rules;
    rules.addEventListener("change", () => this.setRule(rules.value));
    this.charts = el("div.charts", {},
      el("div.caption", {}, this.metric, el("span.spring"), el("span.key", {}, "━ Fa limit, paler above  ★ best  ◯ now")),
      this.heat.canvas,
      el("div.caption", {}, this.curveTitle = el("span", {}, "Pd over Fa"), el("span.spring"), this.curveKey = el("span.key", {}, "▪ each th1  ┆ Fa limit  ◯ now")),
      this.curve.canvas);
    this.waitingText = el("span", {}, "Evaluating the set at every pair of thresholds …");
    this.waitingBar = el("progress", { max: 1, ariaLabel: "evaluation of all pairs of thresholds" });
    this.waiting = el("div.waiting", {}, this.waitingText, this.waitingBar);
    const best = [button("best", "Best Score", "highest Score with Fa below the budget", () => this.toBest()),
      el("label.budget", {}, "with Fa <", this.budget, "×10⁻⁶")];
    const actions = [
      button("paper", "Paper's", "the paper's thresholds, 0.5 and 0.1", () => this.set(...PAPER, true)),
      button("reset", "Reset", "thresholds as at first", () => this.reset()),
      button("pin", "Pin", "compare images with the thresholds as they are now", () => this.pin())];
    return [
      el("div.card", {}, ...this.controls.map((control) => control.element),
        ...(setup.truth ? [el("div.actions", {}, ...best)] : []),
        el("div.actions", {}, ...actions, ...(setup.scales ? [rules] : []))),
      ...(setup.truth ? [this.waiting, this.charts] : []),
    ];
  }

  // Events.

  listen() {
    const { model } = this;
    const events = {
      "msg:custom": (message, buffers) => this.receive(message, buffers || []),
      "change:th1": () => this.onModelChange(), "change:th2": () => this.onModelChange(), "change:rule": () => this.onModelChange(),
    };
    for (const [name, act] of Object.entries(events)) model.on(name, act);
    const keys = { ArrowLeft: -1, ArrowRight: 1 };
    const moves = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2] };
    const isField = ({ target }) => ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
    const isShortcut = ({ ctrlKey, metaKey, altKey }) => ctrlKey || metaKey || altKey;
    const saves = (event) => (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    // JupyterLab hears its shortcuts before the page does, unless this attribute stops it.
    const letShortcutsPass = (event) => {
      const pass = saves(event) || (isShortcut(event) && !isField(event));
      this.root.toggleAttribute("data-lm-suppress-shortcuts", !pass);
    };
    window.addEventListener("keydown", letShortcutsPass, true);
    this.root.addEventListener("keydown", (event) => {
      if (isShortcut(event)) return;
      event.stopPropagation();
      if (event.key === "Escape") {
        this.setMessage("");
        if (!this.help.hidden) this.toggleHelp(false);
        return;
      }
      if (isField(event)) return;
      const { viewer } = this;
      if (event.shiftKey && event.key in moves) viewer.pan(...moves[event.key]);
      else if (event.key in keys) this.show(this.list.step(keys[event.key]));
      else if (event.key === "+" || event.key === "=") viewer.zoomBy(1.3);
      else if (event.key === "-") viewer.zoomBy(1 / 1.3);
      else if (event.key === "0") viewer.moved(() => viewer.fit());
      else if (event.key === "1") viewer.actual();
      else if (event.key === "t") viewer.nextTarget();
      else if (event.key === "?") this.toggleHelp();
      else return;
      event.preventDefault();
    });
    const sizes = new ResizeObserver(() => this.paint());
    sizes.observe(this.root);
    const theme = new MutationObserver(() => this.paint());
    theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
    this.close = () => {
      for (const [name, act] of Object.entries(events)) model.off(name, act);
      window.removeEventListener("keydown", letShortcutsPass, true);
      sizes.disconnect();
      theme.disconnect();
      clearTimeout(this.scheduled);
      clearTimeout(this.syncing);
      clearTimeout(this.slow);
      clearTimeout(this.fading);
    };
  }

  /** Adopt thresholds that were set elsewhere: Python, a linked widget, another view. */
  onModelChange() {
    const [th1, th2] = ["th1", "th2"].map((name) => this.tick(this.model.get(name)));
    const rule = this.model.get("rule");
    if (this.own || this.syncing) return; // what comes now is older than what is shown
    if (th1 === this.th1 && th2 === this.th2 && rule === this.rule) return;
    const followed = th1 === this.th1 && rule === this.rule ? [Math.max(th1, th2), th2] : [th1, Math.min(th1, th2)];
    [this.th1, this.th2] = this.ordered(rule) ? followed : [th1, th2];
    this.rule = rule;
    if (this.th1 !== th1 || this.th2 !== th2) this.syncModel(true);
    this.refresh();
  }

  /** Set one threshold, and the other along where th2 must not exceed th1. */
  move(name, tick, end) {
    const [other, bound] = name === "th1" ? ["th2", Math.min] : ["th1", Math.max];
    const along = this.ordered(this.rule) ? bound(this[other], tick) : this[other];
    if (along !== this[other]) this.dragged = other;
    if (end && this.dragged) {
      this.setMessage(`${this.dragged} is now ${this.text(along)}, too: th2 cannot exceed th1 here`);
      this.dragged = null;
    }
    this.set(...(name === "th1" ? [tick, along] : [along, tick]), end);
  }

  set(th1, th2, end) {
    const moved = th1 !== this.th1 || th2 !== this.th2;
    [this.th1, this.th2] = [th1, th2];
    if (moved || end) this.changed(end);
  }

  /** Move both thresholds by steps of the grid. */
  step(across, up) {
    const { grid } = this.setup, [first] = grid, last = grid[grid.length - 1], by = grid[1] - first;
    const near = (tick, steps) => Math.min(Math.max(first + by * (Math.round((tick - first) / by) + steps), first), last);
    const th1 = across ? near(this.th1, across) : this.th1, th2 = up ? near(this.th2, up) : this.th2;
    this.set(th1, this.ordered(this.rule) ? Math.min(th1, th2) : th2, true);
  }

  setRule(rule) {
    this.rule = rule;
    if (this.ordered(rule)) this.th2 = Math.min(this.th1, this.th2);
    this.changed(true);
  }

  reset() {
    const [th1, th2, rule] = this.first;
    this.rule = rule;
    this.set(th1, th2, true);
  }

  changed(end) {
    this.syncModel(end);
    this.refresh();
  }

  refresh() {
    this.scheduleMetrics();
    this.askSurface();
    this.detect();
  }

  /** Write the thresholds to the model; the kernel gets them now and then, and at the end. */
  syncModel(end) {
    this.own = true;
    this.model.set("th1", this.th1 / this.setup.steps);
    this.model.set("th2", this.th2 / this.setup.steps);
    this.model.set("rule", this.rule);
    this.own = false;
    if (end) {
      clearTimeout(this.syncing);
      this.syncing = null;
      this.model.save_changes();
    } else if (!this.syncing) {
      this.syncing = setTimeout(() => {
        this.syncing = null;
        this.model.save_changes();
      }, SYNC_MS);
    }
  }

  /** Ask for exact metrics once the thresholds rest. */
  scheduleMetrics() {
    clearTimeout(this.scheduled);
    this.scheduled = setTimeout(() => {
      if (this.known.has(this.key)) this.fillList();
      else this.ask("metrics");
    }, REST_MS);
  }

  ask(type, more = {}) {
    const { steps } = this.setup;
    const now = { th1: this.th1 / steps, th2: this.th2 / steps, rule: this.rule };
    this.model.send({ type, ...now, ...more });
  }

  askSurface() {
    if (!this.setup.truth || this.surfaces[this.rule] || this.surfaceAsked === this.rule) return;
    this.surfaceAsked = this.rule; // a newer question ends an older one
    this.model.send({ type: "surface", rule: this.rule });
    this.slow = setTimeout(() => {
      this.waitingText.textContent = "Still evaluating. The first run on a machine also compiles code, which takes about half a minute …";
    }, SLOW_MS);
  }

  receive(message, buffers) {
    if (message.type === "image") this.keepImage(openImage(message, buffers));
    else if (message.type === "metrics") this.keepMetrics(message);
    else if (message.type === "surface") this.keepSurface(message, buffers);
    else if (message.type === "progress") this.progress(message);
    else if (message.type === "thumbnails") this.list.setThumbnails(message.side, new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength));
    else if (message.type === "saved") this.setMessage(message.text);
    else if (message.type === "error") this.fail(message);
  }

  progress({ about, done }) {
    const percent = `${Math.round(100 * done)} %`;
    if (about !== "surface") return this.tiles.note(`counting … ${percent}`);
    clearTimeout(this.slow);
    this.waitingBar.value = done;
    this.waitingText.textContent = `Evaluating the set at every pair of thresholds: ${percent}`;
  }

  fail({ about, text, index, rule }) {
    if (about === "surface" && rule === this.surfaceAsked) this.surfaceAsked = null;
    if (about === "image") {
      this.asked.delete(index);
      if (index !== this.index) return; // a neighbour that nobody looks at
      this.damaged = true;
    }
    this.setMessage(text, true);
  }

  /** Show a message beside the buttons; it fades after a time to read it, unless it is an error. */
  setMessage(text, wrong = false) {
    clearTimeout(this.fading);
    this.message.textContent = text;
    this.message.classList.toggle("fk-error", wrong);
    if (text && !wrong) this.fading = setTimeout(() => this.setMessage(""), 6000 + 80 * text.length);
  }

  // Images.

  show(index) {
    this.index = index;
    this.model.set("index", index);
    this.model.save_changes();
    this.list.select(index);
    this.request(index);
    for (const near of [this.list.step(1), this.list.step(-1)]) this.request(near);
    this.viewer.main.ariaLabel = `${this.setup.names[index]} with its targets`;
    const image = this.images.get(index);
    if (!image) {
      this.image = this.result = null;
      this.viewer.clear();
      this.headline.textContent = `${this.setup.names[index]} …`;
      this.paint();
      return;
    }
    if (this.damaged) this.setMessage(""); // of another image
    this.damaged = false;
    this.touch(image);
    this.image = image;
    this.viewer.setImage(image);
    this.detect();
  }

  request(index) {
    if (this.images.has(index) || this.asked.has(index)) return;
    this.asked.add(index);
    this.ask("image", { index });
  }

  keepImage(image) {
    this.asked.delete(image.index);
    this.touch(image);
    if (image.index === this.index) this.show(image.index);
  }

  /** Move an image to the end, and let go of those at the front that are too much. */
  touch(image) {
    this.images.delete(image.index);
    this.images.set(image.index, image);
    const bytes = (one) => one.fused.length * (12 + 2 * one.scales.length);
    let held = 0;
    for (const one of this.images.values()) held += bytes(one);
    for (const [index, one] of this.images) {
      if (held <= KEPT_BYTES || this.images.size <= 3 || index === this.index) break;
      this.images.delete(index);
      held -= bytes(one);
    }
  }

  detect() {
    this.stale = true;
    this.paint();
  }

  /** Paint in the next frame; however often it is asked for, once. */
  paint() {
    if (this.painting) return;
    this.painting = requestAnimationFrame(() => {
      this.painting = null;
      if (!this.root.isConnected) return;
      if (!this.viewer.main.clientWidth) {
        setTimeout(() => this.paint(), HIDDEN_MS);
        return;
      }
      this.draw();
      this.write();
      this.painted = (this.painted || 0) + 1;
    });
  }

  /** Draw the image with its current thresholds at once. */
  draw() {
    if (this.image && this.stale) {
      this.result = detect(this.image, this.th1, this.th2, this.rule);
      this.viewer.setResult(this.result);
      this.stale = false;
    }
    this.viewer.draw();
  }

  /** Everything but the picture. */
  write() {
    this.controls[0].show(this.th1);
    this.controls[1].show(this.th2);
    this.rules.value = this.rule;
    if (this.image && this.result) this.headline.replaceChildren(...this.describe());
    this.writeTiles();
    if (!this.setup.truth) return;
    const surface = this.surfaces[this.rule];
    if (surface) clearTimeout(this.slow);
    this.waiting.hidden = Boolean(surface);
    this.charts.hidden = !surface;
    if (!surface) return;
    if (this.heat.surface !== surface) this.heat.setSurface(surface);
    this.heat.draw(this.th1, this.th2, surface.best(this.maxFa));
    const targets = !Number.isNaN(surface.pd[0]);
    this.curve.canvas.hidden = this.curveKey.hidden = !targets;
    const drawn = surface.grid[this.curve.column(surface, this.th2)];
    this.curveTitle.textContent = targets
      ? `Pd over Fa at th2 = ${this.text(drawn)}` : "no true targets, so no Pd and no Score";
    if (targets) this.curve.draw(surface, this.th1, this.th2, this.metricsNow());
  }

  describe() {
    const { counts, strong, weak } = this.result;
    const place = this.list.shown.indexOf(this.index) + 1;
    const name = [el("b", {}, this.image.name), ` ${place ? `${place} of ${this.list.shown.length}` : ""} · `];
    if (!this.image.truth) return [...name, `${strong.length} strong, ${weak.length} weak`];
    const union = counts.predicted + counts.true - counts.intersection;
    const iou = union ? (100 * counts.intersection / union).toFixed(1) : "–";
    return [...name, `${counts.detected} of ${counts.targets} found · ${counts.false_pixels} px false · IoU ${iou} %`];
  }

  // Metrics of the set.

  get maxFa() {
    return Number(this.budget.value) / 1e6;
  }

  keepMetrics(message) {
    const key = `${this.tick(message.th1)} ${this.tick(message.th2)} ${message.rule}`;
    this.known.delete(key);
    this.known.set(key, message);
    if (this.known.size > 40) this.known.delete(this.known.keys().next().value);
    this.tiles.note("");
    if (!this.latest) this.model.send({ type: "thumbnails" }); // their images have been read now
    this.latest = message;
    if (!this.pinned) this.pinned = message;
    if (key === this.key) this.fillList();
    this.paint();
  }

  keepSurface(message, buffers) {
    this.surfaces[message.rule] = new Surface(message, buffers, this.setup.grid, this.ordered(message.rule));
    this.paint();
  }

  fillList() {
    const metrics = this.known.get(this.key);
    if (!metrics) return;
    const rows = this.setup.names.map((name, index) => ({
      index, name,
      strong: metrics.strong[index], weak: metrics.weak[index], marks: metrics.marks[index],
      changed: metrics.marks[index] !== this.pinned.marks[index],
      ...this.counted(metrics.rows[index]),
    }));
    const name = ({ th1, th2, rule }) => this.label({ th1: this.tick(th1), th2: this.tick(th2), rule });
    this.list.setRows(rows, `at ${name(metrics)}; pin ${name(this.pinned)}`);
  }

  counted(row) {
    if (!row) return {};
    const { targets, detected, false_pixels: falsePixels, iou } = row;
    return { targets, detected, missed: targets - detected, falsePixels, iou: iou ?? 1 };
  }

  /** Metrics at the current thresholds, exact or from the surface; undefined off its grid. */
  metricsNow() {
    const exact = this.known.get(this.key);
    if (exact) return exact.total;
    const surface = this.surfaces[this.rule];
    const place = surface ? surface.at(this.th1, this.th2) : -1;
    return place < 0 ? undefined : surface.metrics(place);
  }

  /** The current metrics; until they are known the last ones, labelled with their thresholds. */
  writeTiles() {
    const now = this.setup.truth ? this.metricsNow() : this.known.get(this.key);
    const last = this.latest?.rule === this.rule ? this.latest : undefined;
    const images = `${this.setup.names.length} image${this.setup.names.length > 1 ? "s" : ""}`;
    if (!now && !last) return this.tiles.show(`${images}, counting …`, [], false);
    const of = now ? this : { th1: this.tick(last.th1), th2: this.tick(last.th2), rule: last.rule };
    const label = `${images} at ${this.label(of)}`;
    if (!this.setup.truth) return this.tiles.show(label, this.targetEntries(now || last), Boolean(now));
    this.tiles.show(label, this.metricEntries(now || last.total), Boolean(now));
  }

  metricEntries(values) {
    const spans = values.intervals || {};
    const entries = Object.entries(METRICS).map(([name, { name: title, unit }]) => {
      const span = spans[name];
      const interval = span ? `${format(name, span[0])} – ${format(name, span[1])}` : "";
      const invalid = name === "score" && !(values.fa < this.setup.faLimit);
      return [`${title} ${unit}`, format(name, values[name]), interval, invalid && "not valid: Fa is not below 10⁻⁴"];
    });
    const [score, ...others] = entries;
    return [...others, score];
  }

  targetEntries({ strong, weak }) {
    const sum = (numbers) => `${numbers.reduce((total, number) => total + number, 0)}`;
    return [["strong targets", sum(strong), ""], ["weak targets", sum(weak), ""]];
  }

  // Buttons.

  picked(thresholds) {
    if (thresholds) this.set(...thresholds, false);
    else this.syncModel(true);
  }

  toBest() {
    const surface = this.surfaces[this.rule];
    if (!surface) return this.setMessage("the whole set is still being evaluated; try again in a moment", true);
    if (Number.isNaN(surface.pd[0])) return this.setMessage("there are no true targets, so there is no Score", true);
    const place = surface.best(this.maxFa);
    if (place < 0) return this.setMessage(`no pair of thresholds keeps Fa below ${this.budget.value} ×10⁻⁶; raise the budget`, true);
    this.set(...surface.thresholds(place), true);
    this.setMessage("");
  }

  pin() {
    const metrics = this.known.get(this.key);
    if (!metrics) return this.setMessage("these thresholds are still being evaluated; try again in a moment", true);
    this.pinned = metrics;
    this.fillList();
  }

  save() {
    this.syncModel(true);
    this.ask("save");
    this.setMessage("saving …");
  }

  async copy() {
    const code = this.setup.code[this.rule]
      .replaceAll("{th1}", this.th1 / this.setup.steps)
      .replaceAll("{th2}", this.th2 / this.setup.steps)
      .replaceAll("{rule}", this.rule);
    try {
      await navigator.clipboard.writeText(code);
      this.setMessage(`copied:\n${code}`);
    } catch {
      this.setMessage(`copy this:\n${code}`); // the browser allows no clipboard here
    }
  }

  /** The shown image's name with the thresholds, for files. */
  fileName(name, ending) {
    return `${name.replace(/[^\w.-]+/g, "_")}-th1-${this.text(this.th1)}-th2-${this.text(this.th2)}.${ending}`;
  }

  downloadPicture() {
    if (!this.image) return this.setMessage("no image is shown", true);
    this.draw();
    const name = this.fileName(this.image.name, "png");
    this.viewer.main.toBlob((blob) => download(blob, name));
  }

  downloadDrawing() {
    if (!this.image) return this.setMessage("no image is shown", true);
    this.draw();
    download(new Blob([this.viewer.toSvg()], { type: "image/svg+xml" }), this.fileName(this.image.name, "svg"));
  }

  downloadTable() {
    if (!this.known.has(this.key)) return this.setMessage("these thresholds are still being evaluated; try again in a moment", true);
    this.fillList();
    const columns = this.setup.truth
      ? { targets: "targets", detected: "detected", false_pixels: "falsePixels", iou: "iou", strong: "strong", weak: "weak" }
      : { strong: "strong", weak: "weak" };
    const quoted = (name) => `"${name.replaceAll('"', '""')}"`;
    const rows = this.list.rows.map((row) => [quoted(row.name), ...Object.values(columns).map((key) => row[key])].join(","));
    const text = [["image", ...Object.keys(columns)].join(","), ...rows, ""].join("\n");
    download(new Blob([text], { type: "text/csv" }), this.fileName("images", "csv"));
  }

  showPixelInfo(place) {
    if (place === undefined) return this.paint();
    if (!place || !this.image) {
      this.where.textContent = "";
      return;
    }
    const pixel = place.y * this.image.width + place.x;
    const gray = this.image.gray ? `, gray ${this.image.gray[pixel]}` : "";
    this.where.textContent = `row ${place.y}, column ${place.x}${gray}, p ${(this.image.fused[pixel] / this.setup.steps).toFixed(3)}`;
  }
}

/** Have the browser save a blob as a file. */
function download(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A mark of the picture as a small drawing. */
function icon(kind) {
  const canvas = el("canvas.icon", { width: 36, height: 36 });
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  if (kind === "truth") {
    pen.strokeStyle = COLOUR.truth;
    pen.lineWidth = 2;
    pen.strokeRect(5, 6, 8, 6);
  } else if (kind === "region" || kind === "wrong") {
    pen.fillStyle = kind === "region" ? COLOUR.strong : COLOUR.alarm;
    pen.fillRect(5, 6, 8, 6);
  } else if (kind === "weak") {
    stroke(pen, "M4,4L14,14M4,14L14,4", COLOUR.weak, 2);
  } else {
    stroke(pen, markShape(kind, 9, 9, kind === "alarm" ? 5.5 : 6.5), MARK_COLOUR[kind], 1.8, kind === "missed");
  }
  return canvas;
}

function render({ model, el: place }) {
  const root = el("div.tuner", { tabIndex: 0 });
  root.classList.add("festkit-tuner");
  place.append(root);
  const tuner = new Tuner(model, root);
  root.tuner = tuner;
  for (const [name, value] of Object.entries(COLOUR)) root.style.setProperty(`--fk-${name}`, value);
  return () => tuner.close();
}

export default { render };
