// Colour scales: from a value to one of 256 colours, and the legend that says so.

const GREYED = "#d3d3cf";
const HATCH = "#8a8a86";
const NICE = [1, 2, 5];

function colourTable(hex) {
  const colours = [];
  for (let n = 0; n < hex.length; n += 6) {
    colours.push([0, 2, 4].map((shift) => parseInt(hex.slice(n + shift, n + shift + 2), 16)));
  }
  return colours;
}

function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

// A scale over all fields that share it. Differences lie evenly around 0, efficiencies between 0 and 1.
function makeScale(fields, kind, colours, wishes) {
  let count = 0;
  for (const field of fields) count += field.values.length;
  const all = new Float64Array(count);
  count = 0;
  for (const field of fields) {
    for (let n = 0; n < field.values.length; n += 1) {
      if (field.state[n] === 1) {
        all[count] = field.values[n];
        count += 1;
      }
    }
  }
  const sorted = all.subarray(0, count).sort();
  const scale = { kind, colours, count, log: false, canLog: false, below: false, above: false };
  if (!count) return { ...scale, low: 0, high: 1 };
  const ends = [sorted[0], sorted[count - 1]];
  let [low, high] = wishes.robust ? [quantile(sorted, 0.02), quantile(sorted, 0.98)] : ends;
  scale.canLog = kind !== "difference" && kind !== "score" && ends[0] > 0;
  const wide = low > 0 && high / low > 30;
  scale.log = scale.canLog && (wishes.log === null ? wide : wishes.log);
  if (kind === "score") {
    [low, high] = [0, 1];
  } else if (kind === "difference") {
    high = Math.max(Math.abs(low), Math.abs(high)) || 1;
    low = -high;
  } else if (high === low) {
    const widen = Math.abs(low) * 0.01 || 1;
    [low, high] = [scale.log ? low / 1.01 : low - widen, scale.log ? low * 1.01 : high + widen];
  }
  return { ...scale, low, high, below: ends[0] < low, above: ends[1] > high };
}

function shareOf(scale, value) {
  const { low, high } = scale;
  const share = scale.log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return Math.min(1, Math.max(0, share));
}

function colourOf(scale, value) {
  return scale.colours[Math.round(255 * shareOf(scale, value))];
}

function ticksOf(scale, wanted = 8) {
  const { low, high } = scale;
  if (scale.log) {
    const decades = Math.log10(high / low);
    const factors = decades > 4 ? [1] : decades > 1.2 ? [1, 3] : NICE;
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const factor of factors) ticks.push(factor * 10 ** power);
    }
    const inside = ticks.filter((tick) => tick >= low * 0.9999 && tick <= high * 1.0001);
    if (inside.length > 1) return inside;
    return [low, Math.sqrt(low * high), high];
  }
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([...NICE, 10].find((factor) => factor * power >= rough) || 10);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) {
    ticks.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  }
  return ticks;
}

function legendOf(scale, title, unit, circular) {
  const stops = [];
  for (let n = 0; n < 256; n += 15) stops.push(`rgb(${scale.colours[n].join(" ")}) ${((100 * n) / 255).toFixed(1)}%`);
  const bar = element("div", { className: "ramp", style: `background:linear-gradient(to right,${stops.join(",")})` });
  const marks = element("div", { className: "marks" });
  for (const tick of ticksOf(scale)) {
    const text = circular ? fixed(((tick % PERIOD) + PERIOD) % PERIOD, 0) : number(tick, 3);
    const mark = element("span", { style: `left:${(100 * shareOf(scale, tick)).toFixed(2)}%` }, text);
    marks.append(mark);
  }
  const heading = element("div", { className: "legend-title" }, unit ? `${title}, ${unit}` : title);
  const ends = [scale.below && "lower", scale.above && "higher"].filter(Boolean).join(" and ");
  const notes = [scale.log && "logarithmic", ends && `${ends} values have the end's colour`].filter(Boolean);
  if (notes.length) heading.append(element("small", {}, ` (${notes.join("; ")})`));
  return element("div", { className: "scale" }, heading, element("div", { className: "ruler" }, bar, marks));
}

function swatch(colour, text, extra = "") {
  const square = element("i", { className: `swatch ${extra}`, style: colour ? `background:${colour}` : "" });
  return element("span", { className: "entry" }, square, text);
}
