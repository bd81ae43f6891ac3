// One map: cells as pixels of a grid or as dots, in a frame of latitude and longitude.

const MARGIN = { left: 44, right: 8, top: 6, bottom: 20 };
const FEW_CELLS = 3000;
const DOT = 5.5;
const SMALLEST_SQUARE = 4;
const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 45, 60];

// Cells and land that all maps of the page share.
class Geography {
  constructor(facts, names, latitude, longitude, land) {
    Object.assign(this, { facts, names, latitude, longitude, grid: facts.grid, count: names.length });
    this.outlines = land.trim().split("\n").map((line) => {
      const numbers = line.split(" ").map(Number);
      for (let n = 2; n < numbers.length; n += 1) numbers[n] += numbers[n - 2];
      return numbers;
    });
    if (this.grid) this.placeOnGrid();
    const pad = this.grid ? Math.abs(this.grid.step[0]) / 2 : 0;
    // Cells without a longitude are on no map; where none has one it is of the Earth.
    const ends = (degrees, most) => {
      const known = degrees.filter((value, n) => Number.isFinite(latitude[n]) && Number.isFinite(longitude[n]));
      if (!known.length) return [-most, most];
      return [Math.min, Math.max].map((end) => known.reduce((a, b) => end(a, b)));
    };
    const [[south, north], [west, east]] = [ends(latitude, 90), ends(longitude, 180)];
    const room = Math.max(1.5, 0.04 * (north - south), 0.02 * (east - west));
    this.box = { south: south - pad - room, north: north + pad + room, west: west - pad - room, east: east + pad + room };
    for (const [low, high, least] of [["south", "north", 12], ["west", "east", 20]]) {
      const lack = Math.max(0, least - (this.box[high] - this.box[low])) / 2;
      this.box[low] -= lack;
      this.box[high] += lack;
    }
    this.box.south = Math.max(-90, this.box.south);
    this.box.north = Math.min(90, this.box.north);
    const tall = this.box.north - this.box.south;
    // A map of high latitudes is drawn narrower, as the parallels are.
    this.narrow = tall < 60 ? Math.max(0.35, Math.cos(((this.box.north + this.box.south) / 2) * (Math.PI / 180))) : 1;
  }

  placeOnGrid() {
    const { latitude: lat0, longitude: lon0, step, rows, columns } = this.grid;
    this.slot = new Int32Array(this.count);
    this.cellAt = new Int32Array(rows * columns).fill(-1);
    for (let n = 0; n < this.count; n += 1) {
      const row = Math.round((this.latitude[n] - lat0) / step[0]);
      const column = Math.round((this.longitude[n] - lon0) / step[1]);
      this.slot[n] = row * columns + column;
      this.cellAt[this.slot[n]] = n;
    }
  }

  cellOnGrid(latitude, longitude) {
    const { latitude: lat0, longitude: lon0, step, rows, columns } = this.grid;
    const row = Math.round((latitude - lat0) / step[0]);
    const column = Math.round((longitude - lon0) / step[1]);
    return row < 0 || column < 0 || row >= rows || column >= columns ? -1 : this.cellAt[row * columns + column];
  }

  nearest(latitude, longitude, reach) {
    let best = -1;
    let least = reach * reach;
    for (let n = 0; n < this.count; n += 1) {
      const dx = (this.longitude[n] - longitude) * this.narrow;
      const dy = this.latitude[n] - latitude;
      if (dx * dx + dy * dy < least) [best, least] = [n, dx * dx + dy * dy];
    }
    return best;
  }

  // The next cell in a direction of the compass: the nearest within 45 degrees of it.
  neighbour(cell, east, north) {
    let best = -1;
    let least = Infinity;
    for (let n = 0; n < this.count; n += 1) {
      const dx = (this.longitude[n] - this.longitude[cell]) * this.narrow;
      const dy = this.latitude[n] - this.latitude[cell];
      const along = dx * east + dy * north;
      const across = Math.abs(dx * north - dy * east);
      if (along > 1e-9 && across <= along && along + 2 * across < least) [best, least] = [n, along + 2 * across];
    }
    return best;
  }
}

class MapPanel {
  constructor(geography, title) {
    this.geography = geography;
    this.title = title;
    this.base = element("canvas", { className: "base" });
    this.over = element("canvas", { className: "over" });
    this.caption = element("figcaption", {}, title);
    this.frame = element("div", { className: "canvases" }, this.base, this.over);
    this.figure = element("figure", { className: "map" }, this.caption, this.frame);
  }

  // Take the size that the page gives; `view` is the place in the middle and pixels a degree of latitude.
  resize(width, height) {
    this.width = width;
    this.height = height;
    this.ratio = Math.min(2, window.devicePixelRatio || 1);
    this.frame.style.height = `${height}px`;
    for (const canvas of [this.base, this.over]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
  }

  get inner() {
    return {
      x: MARGIN.left,
      y: MARGIN.top,
      width: this.width - MARGIN.left - MARGIN.right,
      height: this.height - MARGIN.top - MARGIN.bottom,
    };
  }

  toScreen(latitude, longitude) {
    const { x, y, width, height } = this.inner;
    const { view, geography } = this;
    return [
      x + width / 2 + (longitude - view.longitude) * view.scale * geography.narrow,
      y + height / 2 - (latitude - view.latitude) * view.scale,
    ];
  }

  toPlace(px, py) {
    const { x, y, width, height } = this.inner;
    const { view, geography } = this;
    return [
      view.latitude - (py - y - height / 2) / view.scale,
      view.longitude + (px - x - width / 2) / (view.scale * geography.narrow),
    ];
  }

  get asDots() {
    const { grid, count } = this.geography;
    return !grid || (count <= FEW_CELLS && Math.abs(grid.step[0]) * this.view.scale < SMALLEST_SQUARE);
  }

  hit(px, py) {
    const { x, y, width, height } = this.inner;
    if (px < x || py < y || px > x + width || py > y + height) return -1;
    const [latitude, longitude] = this.toPlace(px, py);
    if (!this.asDots) return this.geography.cellOnGrid(latitude, longitude);
    return this.geography.nearest(latitude, longitude, (DOT + 6) / this.view.scale);
  }

  // Give the map its values: `field.state` is 1 where a value is, 2 where it is screened out, 0 where there is none.
  show(field, scale) {
    this.field = field;
    this.scale = scale;
    if (!this.geography.grid) return;
    const { rows, columns, step } = this.geography.grid;
    this.image = this.image || element("canvas", { width: columns, height: rows });
    this.holes = this.holes || element("canvas", { width: columns, height: rows });
    const pixels = new ImageData(columns, rows);
    const empty = new ImageData(columns, rows);
    const paint = new Uint32Array(pixels.data.buffer);
    const hole = new Uint32Array(empty.data.buffer);
    const table = Uint32Array.from(scale.colours, ([r, g, b]) => (0xff000000 | (b << 16) | (g << 8) | r) >>> 0);
    const grey = 0xffcfd3d3;
    for (let n = 0; n < this.geography.count; n += 1) {
      const slot = this.geography.slot[n];
      const place = step[0] > 0 ? (rows - 1 - Math.floor(slot / columns)) * columns + (slot % columns) : slot;
      if (field.state[n] === 1) paint[place] = table[this.colourIndex(field.values[n])];
      else if (field.state[n] === 2) paint[place] = grey;
      else hole[place] = 0xff000000;
    }
    this.image.getContext("2d").putImageData(pixels, 0, 0);
    this.holes.getContext("2d").putImageData(empty, 0, 0);
  }

  colourIndex(value) {
    return this.scale.kind === "status" ? value : Math.round(255 * shareOf(this.scale, value));
  }

  draw() {
    const pen = this.base.getContext("2d");
    const { x, y, width, height } = this.inner;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.save();
    pen.beginPath();
    pen.rect(x, y, width, height);
    pen.clip();
    pen.fillStyle = "#e9f0f4";
    pen.fillRect(x, y, width, height);
    this.drawLand(pen, true);
    if (this.field) {
      if (this.asDots) this.drawDots(pen);
      else this.drawPixels(pen);
    }
    this.drawLand(pen, false);
    pen.restore();
    this.drawFrame(pen);
  }

  drawLand(pen, filled) {
    const { view, geography } = this;
    pen.beginPath();
    for (const turn of [-360, 0, 360]) {
      if (geography.box.east < turn - 190 || geography.box.west > turn + 190) continue;
      for (const ring of geography.outlines) {
        for (let n = 0; n < ring.length; n += 2) {
          const [px, py] = this.toScreen(ring[n + 1] / 10, ring[n] / 10 + turn);
          if (n === 0) pen.moveTo(px, py);
          else pen.lineTo(px, py);
        }
        pen.closePath();
      }
    }
    if (filled) {
      pen.fillStyle = "#f7f5ef";
      pen.fill("evenodd");
    } else {
      pen.lineWidth = view.scale > 8 ? 1 : 0.6;
      pen.strokeStyle = "rgba(40,40,40,.55)";
      pen.stroke();
    }
  }

  drawPixels(pen) {
    const { latitude, longitude, step, rows, columns } = this.geography.grid;
    const south = Math.min(latitude, latitude + (rows - 1) * step[0]) - Math.abs(step[0]) / 2;
    const west = longitude - step[1] / 2;
    const [left, bottom] = this.toScreen(south, west);
    const [right, top] = this.toScreen(south + rows * Math.abs(step[0]), west + columns * step[1]);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.image, left, top, right - left, bottom - top);
    this.outlineCells(pen);
    if (!this.field.state.includes(0)) return;
    const mask = element("canvas", { width: this.base.width, height: this.base.height });
    const brush = mask.getContext("2d");
    brush.imageSmoothingEnabled = false;
    brush.scale(this.ratio, this.ratio);
    brush.drawImage(this.holes, left, top, right - left, bottom - top);
    brush.globalCompositeOperation = "source-in";
    brush.fillStyle = hatching(brush);
    brush.fillRect(0, 0, this.width, this.height);
    pen.drawImage(mask, 0, 0, this.width, this.height);
  }

  // Thin frames, so that a pale cell among few is seen on pale land.
  outlineCells(pen) {
    const { latitude, longitude, grid, narrow, count } = this.geography;
    if (count > FEW_CELLS) return;
    const [w, h] = [this.view.scale * narrow * grid.step[1], this.view.scale * Math.abs(grid.step[0])];
    if (Math.min(w, h) < 2.5) return;
    pen.lineWidth = w > 4 ? 0.6 : 0.35;
    pen.strokeStyle = "rgba(60,60,60,.6)";
    for (let n = 0; n < count; n += 1) {
      const [px, py] = this.toScreen(latitude[n], longitude[n]);
      pen.strokeRect(px - w / 2, py - h / 2, w, h);
    }
  }

  dotSize() {
    const { grid, count } = this.geography;
    const near = count > 400 ? 3.2 : DOT;
    return grid ? Math.max(near, (this.view.scale * grid.step[1]) / 2) : near;
  }

  drawDots(pen) {
    const size = this.dotSize();
    for (let n = 0; n < this.geography.count; n += 1) {
      const [px, py] = this.toScreen(this.geography.latitude[n], this.geography.longitude[n]);
      const state = this.field.state[n];
      const colour = state === 1 ? this.scale.colours[this.colourIndex(this.field.values[n])] : null;
      pen.beginPath();
      pen.arc(px, py, size, 0, 2 * Math.PI);
      pen.fillStyle = colour ? `rgb(${colour.join(" ")})` : state === 2 ? GREYED : hatching(pen);
      pen.fill();
      pen.lineWidth = 1;
      pen.strokeStyle = "#222";
      pen.stroke();
    }
  }

  drawFrame(pen) {
    const { x, y, width, height } = this.inner;
    const { scale } = this.view;
    const [north, west] = this.toPlace(x, y);
    const [south, east] = this.toPlace(x + width, y + height);
    pen.lineWidth = 0.5;
    pen.strokeStyle = "rgba(60,60,60,.28)";
    pen.fillStyle = "#555";
    pen.font = "11px system-ui, sans-serif";
    const stepOf = (pixels, room) => STEPS.find((step) => step * pixels >= room) || 60;
    const down = stepOf(scale, 42);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let lat = Math.ceil(south / down) * down; lat <= north; lat += down) {
      const [, py] = this.toScreen(lat, west);
      pen.beginPath();
      pen.moveTo(x, py);
      pen.lineTo(x + width, py);
      pen.stroke();
      if (py > y + 4 && py < y + height - 3) pen.fillText(degrees(lat, "N", "S"), x - 5, py);
    }
    const across = stepOf(scale * this.geography.narrow, 62);
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (let lon = Math.ceil(west / across) * across; lon <= east; lon += across) {
      const [px] = this.toScreen(south, lon);
      pen.beginPath();
      pen.moveTo(px, y);
      pen.lineTo(px, y + height);
      pen.stroke();
      const wrapped = ((((lon + 180) % 360) + 360) % 360) - 180;
      if (px > x + 12 && px < x + width - 14) pen.fillText(degrees(wrapped, "E", "W"), px, y + height + 5);
    }
    pen.strokeStyle = "#8a8a86";
    pen.lineWidth = 1;
    pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  }

  // Rings around the cell under the pointer or in focus, and around the pinned one.
  mark(hovered, pinned) {
    const pen = this.over.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    for (const [cell, wide] of [[pinned, 3], [hovered, 1.5]]) {
      if (cell < 0) continue;
      const { latitude, longitude, grid } = this.geography;
      const [px, py] = this.toScreen(latitude[cell], longitude[cell]);
      for (const [colour, width] of [["#fff", wide + 2], ["#111", wide]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.beginPath();
        if (this.asDots) {
          pen.arc(px, py, this.dotSize() + 2.5, 0, 2 * Math.PI);
        } else {
          const w = Math.max(7, this.view.scale * this.geography.narrow * grid.step[1]) + 2;
          const h = Math.max(7, this.view.scale * Math.abs(grid.step[0])) + 2;
          pen.rect(px - w / 2, py - h / 2, w, h);
        }
        pen.stroke();
      }
    }
  }
}

function degrees(value, positive, negative) {
  const size = `${Math.abs(Math.round(value * 100) / 100)}°`;
  return value === 0 ? size : size + (value > 0 ? positive : negative);
}

let hatch = null;

function hatching(pen) {
  if (!hatch) {
    hatch = element("canvas", { width: 6, height: 6 });
    const brush = hatch.getContext("2d");
    brush.fillStyle = "#fff";
    brush.fillRect(0, 0, 6, 6);
    brush.strokeStyle = HATCH;
    brush.lineWidth = 1.4;
    for (const shift of [-6, 0, 6]) {
      brush.beginPath();
      brush.moveTo(shift - 1, 7);
      brush.lineTo(shift + 7, -1);
      brush.stroke();
    }
  }
  return pen.createPattern(hatch, "repeat");
}
