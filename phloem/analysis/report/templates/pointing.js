// Pointers and wheels on a map, and what the tooltip says.

function listenToPointer(maps, panel) {
  const touches = new Map();
  let moved = 0;
  const place = (event) => {
    const box = panel.over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  panel.over.addEventListener("pointerdown", (event) => {
    touches.set(event.pointerId, place(event));
    moved = 0;
  });
  panel.over.addEventListener("pointermove", (event) => {
    if (!maps.state) return;
    const [x, y] = place(event);
    const before = touches.get(event.pointerId);
    if (before) {
      const [dx, dy] = [x - before[0], y - before[1]];
      moved += Math.abs(dx) + Math.abs(dy);
      if (moved < 4) return;
      if (!panel.over.hasPointerCapture(event.pointerId)) panel.over.setPointerCapture(event.pointerId);
      if (touches.size === 2) pinch(maps, panel, touches, event.pointerId, [x, y]);
      else if (maps.zoomed) maps.move(dx, dy);
      touches.set(event.pointerId, [x, y]);
      maps.hover(-1);
      return;
    }
    maps.hover(panel.hit(x, y), panel);
  });
  panel.over.addEventListener("pointerup", (event) => {
    if (!touches.delete(event.pointerId) || moved >= 4 || !maps.state) return;
    const cell = panel.hit(...place(event));
    if (cell >= 0) {
      maps.hover(event.pointerType === "mouse" ? cell : -1, panel);
      maps.pin(cell);
    }
  });
  panel.over.addEventListener("pointercancel", (event) => touches.delete(event.pointerId));
  panel.over.addEventListener("pointerleave", () => maps.state && maps.hover(-1));
  panel.over.addEventListener("wheel", (event) => {
    if (!maps.state || (event.deltaY > 0 && !maps.zoomed)) return; // the whole map is shown: the page scrolls
    event.preventDefault();
    maps.zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) / 300), panel.toPlace(...place(event)));
  }, { passive: false });
}

function pinch(maps, panel, touches, moving, now) {
  const [other] = [...touches].filter(([id]) => id !== moving).map(([, at]) => at);
  const before = touches.get(moving);
  const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
  if (apart(before) > 10) maps.zoom(apart(now) / apart(before), panel.toPlace((now[0] + other[0]) / 2, (now[1] + other[1]) / 2));
}

function valueText(maps, panel, cell) {
  const { chosen, layer, kind, shown, fields, scales } = maps.state;
  const field = fields[shown.indexOf(panel)];
  const value = field.values[cell];
  const { entry } = chosen;
  if (field.state[cell] === 0) return "no value";
  if (kind === "status") return scales.own && maps.facts.status[value] ? maps.facts.status[value].name : BLANK;
  const spread = layer === "rcv" || layer === "range";
  const text = layer === "rcv" ? fixed(value, maps.packed(panel.set, chosen).rcv.bits === 8 ? 2 : 3)
    : kind === "score" ? fixed(value, 3)
    : quantityText(value, spread || panel.less >= 0 ? {} : entry, layer === "range" && maps.packed(panel.set, chosen).range.bits === 8 ? 2 : 4);
  const unit = layer === "rcv" ? "" : entry.unit;
  return withUnit(text, unit) + (field.state[cell] === 2 ? " (members disagree)" : "");
}

function tooltipLines(maps, cell) {
  const { geography } = maps;
  const { chosen, layer, shown } = maps.state;
  const name = chosen.entry.label || chosen.entry.title;
  const label = layer === "rcv" ? `rCV of ${name}` : layer === "range" ? `range of ${name}` : name;
  const lines = [
    element("b", {}, geography.names[cell]),
    element("div", { className: "muted" }, placeText(geography.latitude[cell], geography.longitude[cell])),
  ];
  for (const panel of shown) {
    const what = shown.length > 1 ? panel.title : label;
    lines.push(element("div", { className: "pairs" }, element("span", {}, what), element("strong", {}, valueText(maps, panel, cell))));
  }
  return lines;
}

async function tooltipMembers(maps, cell) {
  const { chosen, shown } = maps.state;
  if (chosen.kind !== "q") return [];
  const lines = [];
  const under = maps.under.less < 0 ? maps.under : shown.find((panel) => panel.set === maps.under.set && panel.less < 0);
  const packed = maps.packed(under.set, chosen);
  const [members, spread] = await Promise.all([layerCodes(packed.members), layerCodes(packed.rcv)]);
  const width = maps.facts.members;
  const digits = members.packed.bits === 8 ? 2 : 4;
  const texts = [];
  for (let n = 0; n < width; n += 1) {
    const value = members.decode(members.codes[cell * width + n]);
    texts.push(Number.isFinite(value) ? quantityText(value, chosen.entry, digits) : "failed");
  }
  const rcv = spread.decode(spread.codes[cell]);
  const title = shown.length > 1 ? `members, ${under.title}` : "members";
  lines.push(element("div", { className: "pairs" }, element("span", {}, title), element("span", {}, texts.join(" · "))));
  if (Number.isFinite(rcv)) {
    const verdict = rcv > maps.facts.limit ? " ▲ they disagree" : "";
    lines.push(element("div", { className: "pairs" }, element("span", {}, "rCV"), element("span", {}, fixed(rcv, spread.packed.bits === 8 ? 2 : 3) + verdict)));
  }
  return lines;
}
