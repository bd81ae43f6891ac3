// The side panel: all that is known of the pinned cell.

const MEMBER_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8AC1B"];
const STRIP = { width: 150, height: 16, edge: 6 };

class CellPanel {
  constructor(root, facts, geography, maps) {
    Object.assign(this, { root, facts, geography, maps });
    this.idle = [...root.childNodes];
    maps.listeners.push((cell) => this.show(cell));
  }

  async show(cell) {
    this.cell = cell;
    if (cell < 0) {
      this.root.replaceChildren(...this.idle);
      delete this.root.dataset.cell;
      return;
    }
    const parts = await Promise.all([this.cellTable(cell), this.trajectories(cell), this.quantities(cell)]);
    if (cell !== this.cell) return;
    const { names, latitude, longitude } = this.geography;
    const close = element("button", { type: "button", className: "close", "aria-label": "unpin the cell" }, "unpin");
    close.addEventListener("click", () => this.maps.pin(cell));
    const head = element("div", { className: "panel-head" }, element("h3", {}, names[cell]), close);
    const place = element("p", { className: "muted place" }, placeText(latitude[cell], longitude[cell]));
    const anchor = this.facts.anchors[cell];
    const link = anchor ? [element("p", {}, element("a", { href: `#${anchor}` }, `${anchor.startsWith("place") ? "series" : "series, members and findings"} of ${names[cell]}`))] : [];
    const body = element("div", { className: "panel-parts" }, ...parts.filter(Boolean));
    this.root.replaceChildren(head, place, ...link, body);
    this.root.dataset.cell = names[cell];
  }

  // Status, loss and the like, a row each; then the efficiencies, a row a stream.
  async cellTable(cell) {
    const { sets } = this.facts;
    const several = sets.length > 1;
    const titles = several ? sets.map((set) => set.title) : [];
    const entries = (key) => sets.map((set) => set.cell.find((one) => one.key === key));
    const texts = (found) => Promise.all(found.map((entry) => (entry ? this.cellText(entry, cell) : BLANK)));
    const keys = [...new Set(sets.flatMap((set) => set.cell.map((one) => one.key)))];
    const rowOf = (title, cells) => element("tr", {}, element("th", { className: "left" }, title), ...cells.map((text) => element("td", {}, text)));
    const headOf = (words) => element("thead", {}, element("tr", {}, ...words.map((word) => element("th", {}, word))));
    const plain = [];
    for (const key of keys.filter((one) => !one.startsWith("nnse_"))) {
      const found = entries(key);
      const cells = await texts(found);
      if (cells.some((text) => text !== BLANK)) plain.push(rowOf(found.find(Boolean).title, cells));
    }
    const scores = [];
    const streams = [...new Set(keys.filter((key) => key.startsWith("nnse_")).map((key) => key.slice(5, -2)))];
    for (const stream of streams) {
      const found = [0, 1].map((window) => entries(`nnse_${stream}_${window}`));
      const cells = (await Promise.all(found.map(texts))).flat();
      const title = found.flat().find(Boolean).title.split(",")[0];
      scores.push(rowOf(title, cells));
    }
    const windows = ["calibration", "validation"];
    const scoreHead = ["", ...(several ? windows.flatMap((word) => titles.map((title) => `${word}, ${title}`)) : windows)];
    const tables = [element("table", {}, headOf(several ? ["", ...titles] : []), element("tbody", {}, ...plain))];
    if (scores.length) tables.push(element("table", {}, headOf(scoreHead), element("tbody", {}, ...scores)));
    return element("div", {}, ...tables.map((table) => element("div", { className: "scroll" }, table)));
  }

  async cellText(entry, cell) {
    const { codes, decode } = await layerCodes(entry);
    const value = decode(codes[cell]);
    if (entry.kind === "status") return (this.facts.status[value] || { name: BLANK }).name;
    return withUnit(entry.kind === "score" ? fixed(value, 3) : number(value), entry.unit);
  }

  async trajectories(cell) {
    const { runs } = this.facts;
    if (!runs) return null;
    const ages = runs.ages.length;
    const target = await layerCodes(runs.target);
    const curve = Array.from({ length: ages }, (_, n) => target.decode(target.codes[cell * ages + n]));
    const sets = await Promise.all(runs.sets.map(async (set) => {
      const layer = await layerCodes(set);
      const width = layer.codes.length / (this.facts.cells * ages);
      const from = cell * width * ages;
      const lines = Array.from({ length: width }, (_, m) =>
        Array.from({ length: ages }, (_, n) => layer.decode(layer.codes[from + m * ages + n])));
      return { ...set, lines };
    }));
    if (![curve, ...sets.flatMap((set) => set.lines)].some((line) => line.some(Number.isFinite))) return null;
    const chart = growthChart(runs.ages, runs.unit, curve, sets);
    const keys = sets.map((set) => swatch(set.colour, `${set.title}, a line a member`, "line"));
    keys.push(swatch("", "growth curve", "line dashed"));
    return element("div", {}, element("h4", {}, "Live biomass"), chart, element("div", { className: "entries" }, ...keys));
  }

  async quantities(cell) {
    const { quantities, sets } = this.facts;
    const rows = await Promise.all(quantities.flatMap((quantity, place) => sets.map(async (set, number) => {
      const packed = set.values[place];
      const [median, rcv, members] = await Promise.all([packed.median, packed.rcv, packed.members].map(layerCodes));
      const width = this.facts.members;
      const values = Array.from({ length: width }, (_, n) => members.decode(members.codes[cell * width + n]));
      const ends = sets.map((one) => one.values[place].members).filter((one) => one.high > one.low);
      const domain = { low: Math.min(...ends.map((one) => one.low)), high: Math.max(...ends.map((one) => one.high)) };
      const spread = rcv.decode(rcv.codes[cell]);
      const open = spread > this.facts.limit;
      const titles = sets.length > 1 ? `${quantity.label}, ${set.title}` : quantity.label;
      const name = element("th", { className: "left", title: quantity.meaning }, number === 0 || sets.length === 1 ? quantity.label : "");
      if (number === 0 && quantity.unit) name.append(element("small", {}, quantity.unit));
      const cells = [name];
      if (sets.length > 1) cells.push(element("td", { className: "left" }, set.title));
      cells.push(
        element("td", {}, memberStrip(quantity, values, median.decode(median.codes[cell]), domain, members.packed.bits, titles)),
        element("td", {}, quantityText(median.decode(median.codes[cell]), quantity, 3)),
        element("td", { className: "rcv" }, fixed(spread, 2) + (open ? " ▲" : "")),
      );
      return element("tr", { className: open ? "unconverged" : "" }, ...cells);
    })));
    const titles = ["quantity", ...(sets.length > 1 ? ["experiment"] : []), "members", "median", "rCV"];
    const head = element("tr", {}, ...titles.map((title, n) => element("th", { className: n < titles.length - 2 ? "left" : "" }, title)));
    const note = "Dots: members; tick: median; the line goes from the lower to the upper bound, of derived quantities "
      + "from the least to the greatest member of all cells.";
    return element(
      "div", {}, element("h4", {}, "Parameters and what follows from them"),
      element("div", { className: "scroll" }, element("table", { className: "strips" }, element("thead", {}, head), element("tbody", {}, ...rows))),
      element("p", { className: "muted" }, note),
    );
  }
}

// A line between the bounds with a dot a member and a tick at the median.
function memberStrip(quantity, values, median, domain, bits, title) {
  const bounds = quantity.low === null ? domain : quantity;
  const { low, high } = bounds;
  const place = (value) => {
    let share = (value - low) / (high - low);
    if (quantity.circular) share = (((value % PERIOD) + PERIOD) % PERIOD) / PERIOD;
    else if (low > 0) share = Math.log(value / low) / Math.log(high / low);
    return STRIP.edge + (STRIP.width - 2 * STRIP.edge) * Math.min(1, Math.max(0, share || 0));
  };
  const digits = bits === 8 ? 2 : 4;
  const words = values.map((value, n) => (Number.isFinite(value) ? `member ${n}: ${quantityText(value, quantity, digits)}` : "")).filter(Boolean);
  const right = STRIP.width - STRIP.edge;
  const label = `${title}: ${words.join("; ") || "not calibrated"}`;
  const strip = drawing("svg", { class: "strip", viewBox: `0 0 ${STRIP.width} ${STRIP.height}`, role: "img", "aria-label": label });
  strip.append(drawing("title", {}, words.join("; ") || "not calibrated"));
  strip.append(drawing("path", { d: `M${STRIP.edge} 8H${right}M${STRIP.edge} 4v8M${right} 4v8`, stroke: "#b9b9b4", fill: "none" }));
  if (Number.isFinite(median)) strip.append(drawing("path", { d: `M${place(median).toFixed(1)} 1v14`, stroke: "#222", "stroke-width": 1.6 }));
  values.forEach((value, n) => {
    if (!Number.isFinite(value)) return;
    const colour = MEMBER_COLOURS[n % MEMBER_COLOURS.length];
    strip.append(drawing("circle", { cx: place(value).toFixed(1), cy: 8, r: 3.6, fill: colour, "fill-opacity": 0.8 }));
  });
  return strip;
}

// Biomass against stand age: a line a member, the growth curve dashed.
function growthChart(ages, unit, target, sets) {
  const frame = { left: 40, right: 350, top: 18, bottom: 172 };
  const all = [target, ...sets.flatMap((set) => set.lines)].flat().filter(Number.isFinite);
  const scale = { low: 0, high: Math.max(...all) * 1.05 || 1, log: false };
  const x = (age) => frame.left + ((frame.right - frame.left) * age) / ages[ages.length - 1];
  const y = (value) => frame.bottom - ((frame.bottom - frame.top) * value) / scale.high;
  const path = (line) => line.map((value, n) => (Number.isFinite(value) ? `${x(ages[n]).toFixed(1)} ${y(value).toFixed(1)}` : "")).filter(Boolean).join("L");
  const titles = sets.map((set) => set.title).join(", ");
  const chart = drawing("svg", { viewBox: "0 0 360 200", role: "img", class: "growth", "aria-label": `Live biomass against stand age: ${titles}, growth curve` });
  for (const tick of ticksOf(scale, 4)) {
    chart.append(drawing("path", { d: `M${frame.left} ${y(tick).toFixed(1)}H${frame.right}`, stroke: "#e4e4e0" }));
    chart.append(drawing("text", { x: frame.left - 5, y: y(tick) + 4, "text-anchor": "end" }, number(tick, 3)));
  }
  for (const tick of ticksOf({ low: 0, high: ages[ages.length - 1], log: false }, 5)) {
    chart.append(drawing("text", { x: x(tick), y: frame.bottom + 13, "text-anchor": "middle" }, number(tick, 3)));
  }
  chart.append(drawing("text", { x: frame.left, y: 11 }, `live biomass, ${unit}`));
  chart.append(drawing("text", { x: frame.right, y: frame.bottom + 26, "text-anchor": "end" }, "stand age, years"));
  for (const set of sets) {
    for (const line of set.lines) {
      const d = path(line);
      if (d) chart.append(drawing("path", { d: `M${d}`, stroke: set.colour, fill: "none", "stroke-width": 1.4, "stroke-opacity": 0.8 }));
    }
  }
  const d = path(target);
  if (d) chart.append(drawing("path", { d: `M${d}`, stroke: "#222", fill: "none", "stroke-width": 1.6, "stroke-dasharray": "5 3" }));
  return chart;
}
