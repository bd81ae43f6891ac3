// The maps: choose a quantity and a layer, zoom and move, point at a cell, pin a cell.

const CELL_LAYERS = {
  median: "median of the members",
  screened: "median where members agree (rCV ≤ LIMIT)",
  rcv: "spread: robust CV of the members",
  range: "range: greatest less least member",
};

class Maps {
  constructor(root, facts, geography) {
    Object.assign(this, { root, facts, geography, hovered: -1, pinned: -1, listeners: [] });
    this.wishes = { robust: true, log: null };
    this.several = facts.sets.length > 1;
    this.build();
    this.listen();
  }

  build() {
    const { facts } = this;
    this.quantity = element("select", { id: "map-quantity" });
    const groups = [
      ["Derived quantities", facts.quantities.filter((one) => one.derived), "q"],
      ["Parameters", facts.quantities.filter((one) => !one.derived), "q"],
      ["Cells", facts.sets[0].cell, "c"],
    ];
    for (const [label, entries, kind] of groups) {
      const group = element("optgroup", { label });
      for (const one of entries) group.append(element("option", { value: `${kind}:${one.key}` }, one.label || one.title));
      if (entries.length) this.quantity.append(group);
    }
    this.layer = element("select", { id: "map-layer" });
    for (const [value, text] of Object.entries(CELL_LAYERS)) {
      this.layer.append(element("option", { value }, text.replace("LIMIT", facts.limit)));
    }
    this.log = element("input", { type: "checkbox", id: "map-log" });
    this.robust = element("input", { type: "checkbox", id: "map-robust", checked: true });
    this.buttons = [["+", "zoom in", 1.6], ["−", "zoom out", 1 / 1.6], ["whole map", "show the whole map", 0]].map(
      ([text, label, factor]) => {
        const button = element("button", { type: "button", title: label, "aria-label": label }, text);
        button.addEventListener("click", () => (factor ? this.zoom(factor) : this.fit()));
        return button;
      },
    );
    const field = (label, input) => element("label", {}, element("span", {}, label), input);
    const controls = element(
      "div", { className: "controls" },
      field("quantity", this.quantity),
      field("layer", this.layer),
      element("label", { className: "check" }, this.log, " logarithmic"),
      element("label", { className: "check" }, this.robust, " limits at 2 and 98 %"),
      element("span", { className: "zooms" }, ...this.buttons),
    );
    this.meaning = element("p", { className: "meaning muted" });
    this.panels = facts.sets.map((set, number) => {
      const panel = new MapPanel(this.geography, set.title);
      return Object.assign(panel, { set: number, less: -1 });
    });
    facts.sets.slice(1).forEach((set, number) => {
      const panel = new MapPanel(this.geography, `${set.title} less ${facts.sets[0].title}`);
      if (number === 0) panel.figure.classList.add("first-less");
      this.panels.push(Object.assign(panel, { set: number + 1, less: 0 }));
    });
    this.tooltip = element("div", { className: "tooltip", id: "map-tooltip", hidden: true });
    this.spoken = element("div", { className: "unseen", id: "map-spoken", "aria-live": "polite" });
    const help = "Map. Arrow keys go from cell to cell, Enter pins a cell, plus and minus zoom, 0 shows the whole map, "
      + "shift with arrow keys moves the map, Escape lets go.";
    this.stage = element(
      "div",
      { className: this.several ? "stage several" : "stage", id: "map-stage", tabIndex: 0, role: "application", "aria-label": help },
      ...this.panels.map((panel) => panel.figure), this.tooltip,
    );
    this.stage.maps = this; // for the browser's console, and for tests
    this.legend = element("div", { className: "map-legend", id: "map-legend" });
    this.root.append(controls, this.meaning, this.stage, this.legend, this.spoken);
  }

  listen() {
    const again = () => this.refresh();
    this.quantity.addEventListener("change", () => {
      this.wishes.log = null;
      again();
    });
    this.layer.addEventListener("change", () => {
      this.wishes.log = null;
      again();
    });
    this.log.addEventListener("change", () => {
      this.wishes.log = this.log.checked;
      again();
    });
    this.robust.addEventListener("change", () => {
      this.wishes.robust = this.robust.checked;
      again();
    });
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.panels.forEach((panel) => listenToPointer(this, panel));
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("blur", () => this.hover(-1));
  }

  // What is chosen: one of the quantities that members have, or one of the cells.
  get chosen() {
    const [kind, key] = [this.quantity.value.slice(0, 1), this.quantity.value.slice(2)];
    const list = kind === "q" ? this.facts.quantities : this.facts.sets[0].cell;
    const place = list.findIndex((one) => one.key === key);
    return { kind, place, entry: list[place] };
  }

  packed(set, chosen) {
    const { cell, values } = this.facts.sets[set];
    return chosen.kind === "q" ? values[chosen.place] : cell.find((one) => one.key === chosen.entry.key);
  }

  async field(panel, chosen, layer) {
    const own = await this.ownField(panel.set, chosen, layer);
    if (panel.less < 0) return own;
    const other = await this.ownField(panel.less, chosen, layer);
    const values = own.values.map((value, n) => value - other.values[n]);
    const state = own.state.map((state, n) => (state === 1 && other.state[n] === 1 ? 1 : Math.min(2, 2 * state * other.state[n])));
    return { values, state };
  }

  async ownField(set, chosen, layer) {
    const packed = this.packed(set, chosen);
    const wanted = chosen.kind === "c" ? packed : packed[layer === "screened" ? "median" : layer];
    const { codes, decode } = await layerCodes(wanted);
    const values = Float64Array.from(codes, decode);
    const state = Uint8Array.from(codes, (code) => (code ? 1 : 0));
    if (chosen.kind === "q" && layer === "screened") {
      const spread = await layerCodes(packed.rcv);
      for (let n = 0; n < state.length; n += 1) {
        if (state[n] && (!spread.codes[n] || spread.codes[n] > this.facts.limitCode)) state[n] = 2;
      }
    }
    return { values, state };
  }

  kindOf(chosen, layer) {
    if (chosen.kind === "c") return chosen.entry.kind;
    return layer === "rcv" || layer === "range" ? "spread" : "value";
  }

  // Unpack what is chosen and draw it; only the newest choice is drawn where several overtake each other.
  async refresh() {
    const turn = (this.turn = (this.turn || 0) + 1);
    const chosen = this.chosen;
    const layer = chosen.kind === "q" ? this.layer.value : "median";
    this.layer.disabled = chosen.kind !== "q";
    const kind = this.kindOf(chosen, layer);
    const differs = kind === "value" || kind === "score" || layer === "range";
    const shown = this.panels.filter((panel) => panel.less < 0 || differs);
    const fields = await Promise.all(shown.map((panel) => this.field(panel, chosen, layer)));
    if (turn !== this.turn) return;
    for (const panel of this.panels) panel.figure.hidden = !shown.includes(panel);
    const own = shown.map((panel) => panel.less < 0);
    const scales = { own: this.scaleOf(fields.filter((_, n) => own[n]), kind) };
    if (own.includes(false)) scales.less = this.scaleOf(fields.filter((_, n) => !own[n]), "difference");
    shown.forEach((panel, n) => panel.show(fields[n], own[n] ? scales.own : scales.less));
    this.state = { chosen, layer, kind, shown, fields, scales };
    this.log.disabled = !scales.own.canLog;
    this.log.checked = scales.own.log;
    this.robust.disabled = kind === "status" || kind === "score";
    this.explain();
    this.resize();
    this.stage.dataset.drawn = `${this.quantity.value} ${layer}`;
    if (!window.firstMap) window.firstMap = performance.now();
    if (this.hovered >= 0) this.tell();
  }

  scaleOf(fields, kind) {
    if (kind === "status") {
      const colours = this.facts.status.map((one) => colourTable(one.colour.slice(1))[0]);
      const counts = colours.map((_, code) => fields.reduce((sum, field) => sum + field.values.filter((v) => v === code).length, 0));
      return { kind, colours, counts, canLog: false, log: false, count: fields[0].values.length };
    }
    return makeScale(fields, kind, colourTable(this.facts.colours[kind]), this.wishes);
  }

  explain() {
    const { chosen, layer, kind, fields, scales, shown } = this.state;
    const { entry } = chosen;
    const unit = chosen.kind === "q" && layer === "rcv" ? "" : entry.unit;
    const title = chosen.kind === "q" ? `${entry.label}: ${CELL_LAYERS[layer].replace("LIMIT", this.facts.limit)}` : entry.title;
    this.meaning.textContent = chosen.kind === "q" && entry.meaning !== entry.label ? `${entry.label}: ${entry.meaning}.` : "";
    const parts = [];
    if (kind === "status") {
      const entries = this.facts.status.map((one, code) => swatch(one.colour, `${one.name} (${scales.own.counts[code].toLocaleString("en-US")})`));
      parts.push(element("div", { className: "entries" }, ...entries));
    } else if (scales.own.count) {
      parts.push(legendOf(scales.own, title, unit, entry.circular && (layer === "median" || layer === "screened")));
    } else {
      parts.push(element("p", {}, `${title}: no cell has a value`));
    }
    if (scales.less && scales.less.count) parts.push(legendOf(scales.less, "difference", unit, false));
    const notes = [swatch("#f7f5ef", "land without cells"), swatch("#e9f0f4", "sea")];
    const has = (state) => fields.some((field) => field.state.includes(state));
    if (has(2)) notes.push(swatch(GREYED, "members disagree: screened out"));
    if (has(0)) notes.push(swatch("", "no value", "hatched"));
    const cells = shown.map((_, n) => fields[n].state.filter((one) => one === 1).length);
    const total = this.facts.cells.toLocaleString("en-US");
    const counts = [...new Set(cells)].map((n) => n.toLocaleString("en-US")).join(" or ");
    notes.push(element("span", { className: "muted" }, `${counts} of ${total} cells have a value`));
    parts.push(element("div", { className: "entries" }, ...notes));
    this.legend.replaceChildren(...parts);
  }

  resize() {
    if (!this.state) return;
    const { box, narrow } = this.geography;
    for (const panel of this.state.shown) {
      const width = Math.max(180, Math.floor(panel.figure.clientWidth));
      const inner = width - MARGIN.left - MARGIN.right;
      const fair = (inner * (box.north - box.south)) / ((box.east - box.west) * narrow);
      const least = this.several ? 150 : 230;
      panel.resize(width, Math.round(Math.min(560, Math.max(least, fair)) + MARGIN.top + MARGIN.bottom));
    }
    if (!this.view) this.fit();
    else this.draw();
  }

  fit() {
    const { box, narrow } = this.geography;
    const { width, height } = this.state.shown[0].inner;
    const scale = Math.min(width / ((box.east - box.west) * narrow), height / (box.north - box.south));
    this.view = { latitude: (box.north + box.south) / 2, longitude: (box.east + box.west) / 2, scale };
    this.whole = scale;
    this.draw();
  }

  zoom(factor, at = null) {
    const scale = Math.min(this.whole * 80, Math.max(this.whole, this.view.scale * factor));
    if (scale <= this.whole * 1.001) {
      this.fit();
      return;
    }
    const [latitude, longitude] = at || [this.view.latitude, this.view.longitude];
    const share = this.view.scale / scale;
    this.view.latitude = latitude + (this.view.latitude - latitude) * share;
    this.view.longitude = longitude + (this.view.longitude - longitude) * share;
    this.view.scale = scale;
    this.move(0, 0);
  }

  // Move by pixels; the middle stays on the map.
  move(dx, dy) {
    const { box, narrow } = this.geography;
    const { view } = this;
    view.longitude = Math.min(box.east, Math.max(box.west, view.longitude - dx / (view.scale * narrow)));
    view.latitude = Math.min(box.north, Math.max(box.south, view.latitude + dy / view.scale));
    this.draw();
  }

  get zoomed() {
    return this.view && this.view.scale > this.whole * 1.001;
  }

  draw() {
    this.stage.classList.toggle("zoomed", this.zoomed);
    for (const panel of this.state.shown) {
      panel.view = this.view;
      panel.draw();
      panel.mark(this.hovered, this.pinned);
    }
  }

  hover(cell, panel = null) {
    if (cell === this.hovered) return;
    this.hovered = cell;
    for (const one of this.state.shown) one.mark(cell, this.pinned);
    if (cell < 0) {
      this.tooltip.hidden = true;
      return;
    }
    this.under = panel || this.state.shown[0];
    this.tell();
  }

  // The tooltip: what is drawn of this cell at once, its members as soon as they are unpacked.
  tell() {
    const cell = this.hovered;
    const lines = tooltipLines(this, cell);
    this.tooltip.replaceChildren(...lines);
    this.tooltip.hidden = false;
    this.placeTooltip(cell);
    tooltipMembers(this, cell).then((more) => {
      if (cell !== this.hovered) return;
      this.tooltip.replaceChildren(...lines, ...more);
      this.placeTooltip(cell);
      this.spoken.textContent = this.tooltip.innerText.replace(/\s+/g, " ");
    });
  }

  // Where a cell is drawn, in pixels of the window.
  whereIs(cell, number = 0) {
    const panel = this.state.shown[number];
    const frame = panel.over.getBoundingClientRect();
    const [x, y] = panel.toScreen(this.geography.latitude[cell], this.geography.longitude[cell]);
    return [frame.left + x, frame.top + y];
  }

  placeTooltip(cell) {
    const { latitude, longitude } = this.geography;
    const panel = this.under;
    const [px, py] = panel.toScreen(latitude[cell], longitude[cell]);
    const stage = this.stage.getBoundingClientRect();
    const frame = panel.frame.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = this.tooltip;
    const left = frame.left - stage.left + px + 14;
    const top = frame.top - stage.top + py + 12;
    const x = left + offsetWidth > stage.width ? Math.max(0, left - offsetWidth - 28) : left;
    const y = frame.top + py + 12 + offsetHeight > window.innerHeight ? top - offsetHeight - 24 : top;
    this.tooltip.style.left = `${Math.round(Math.min(x, Math.max(0, stage.width - offsetWidth)))}px`;
    this.tooltip.style.top = `${Math.round(y)}px`;
  }

  // Pin a cell: its ring stays and others are told; -1 lets go.
  pin(cell) {
    this.pinned = cell === this.pinned ? -1 : cell;
    if (this.state) for (const panel of this.state.shown) panel.mark(this.hovered, this.pinned);
    for (const listener of this.listeners) listener(this.pinned);
  }

  key(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.ctrlKey || event.metaKey || event.altKey || !this.state) return;
    const arrow = arrows[event.key];
    if (arrow && event.shiftKey) this.move(-60 * arrow[0], 60 * arrow[1]);
    else if (arrow) this.step(...arrow);
    else if (event.key === "Enter" && this.hovered >= 0) this.pin(this.hovered);
    else if (event.key === "Escape") this.hovered >= 0 ? this.hover(-1) : this.pin(-1);
    else if (event.key === "+" || event.key === "=") this.zoom(1.6);
    else if (event.key === "-") this.zoom(1 / 1.6);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  step(east, north) {
    const { geography, view } = this;
    const from = this.hovered >= 0 ? this.hovered : this.pinned;
    const next = from >= 0 ? geography.neighbour(from, east, north) : geography.nearest(view.latitude, view.longitude, 400);
    if (next < 0) return;
    const panel = this.state.shown[0];
    const [px, py] = panel.toScreen(geography.latitude[next], geography.longitude[next]);
    const { x, y, width, height } = panel.inner;
    if (px < x || py < y || px > x + width || py > y + height) {
      view.latitude = geography.latitude[next];
      view.longitude = geography.longitude[next];
      this.draw();
    }
    this.hover(next);
  }
}
