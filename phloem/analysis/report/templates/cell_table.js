// The table of cells: find by name or place, sort by any column, a page at a time; only what is shown is in the page.

const ROWS = 25;
const PRINTED = 400;

class CellTable {
  constructor(root, facts, geography, maps) {
    Object.assign(this, { root, facts, geography, maps, page: 0, sorted: -1, falling: false });
    this.search = element("input", { type: "search", id: "cell-search", placeholder: "name, or latitude, longitude" });
    this.found = element("span", { className: "muted", id: "cell-found", "aria-live": "polite" });
    this.head = element("tr");
    this.body = element("tbody");
    this.back = element("button", { type: "button" }, "previous");
    this.next = element("button", { type: "button" }, "next");
    this.search.addEventListener("input", () => this.filter());
    this.back.addEventListener("click", () => this.turn(-1));
    this.next.addEventListener("click", () => this.turn(1));
    const label = element("label", {}, element("span", {}, "find a cell "), this.search);
    const table = element("table", { className: "cells" }, element("thead", {}, this.head), this.body);
    root.append(
      element("div", { className: "controls" }, label, this.found),
      element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "cells" }, table),
      element("div", { className: "turns" }, this.back, this.next),
    );
    this.order = Uint32Array.from({ length: facts.cells }, (_, n) => n);
    this.listed = this.order;
    this.ready = this.load();
    window.addEventListener("beforeprint", () => this.fill(facts.cells <= PRINTED ? facts.cells : ROWS, true));
    window.addEventListener("afterprint", () => this.fill());
  }

  async load() {
    const { sets, table } = this.facts;
    this.columns = await Promise.all(table.map(async (column) => {
      const entry = sets[column.set].cell[column.place];
      return { ...column, entry, values: await layerValues(entry) };
    }));
    const { names, latitude, longitude } = this.geography;
    this.lower = names.map((name) => name.toLowerCase());
    const titles = [["cell", null], ["latitude", latitude], ["longitude", longitude], ...this.columns.map((c) => [c.title, c.values])];
    this.keys = titles.map(([, values]) => values);
    this.heads = titles.map(([title], n) => {
      const button = element("button", { type: "button" }, title);
      button.addEventListener("click", () => this.sort(n));
      return element("th", { className: n ? "" : "left", scope: "col" }, button);
    });
    this.head.replaceChildren(...this.heads);
    this.fill();
  }

  sort(column) {
    this.falling = this.sorted === column ? !this.falling : false;
    this.sorted = column;
    const values = this.keys[column];
    const turn = this.falling ? -1 : 1;
    const { names } = this.geography;
    const order = Array.from(this.order.keys());
    // What is missing comes last, whichever way the rest goes.
    order.sort((a, b) => {
      if (!values) return turn * (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : 0);
      const [x, y] = [values[a], values[b]];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return turn * (x - y) || a - b;
    });
    this.order = Uint32Array.from(order);
    this.heads.forEach((head, n) => {
      if (n === column) head.setAttribute("aria-sort", this.falling ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    this.filter();
  }

  filter() {
    const text = this.search.value.trim().toLowerCase();
    const place = text.match(/^(-?\d+(?:\.\d+)?)\s*[,; ]\s*(-?\d+(?:\.\d+)?)$/);
    this.page = 0;
    if (place) {
      const { geography } = this;
      const nearest = geography.nearest(Number(place[1]), Number(place[2]), 1000);
      this.listed = this.order.filter((n) => n === nearest);
    } else {
      this.listed = text ? this.order.filter((n) => this.lower[n].includes(text)) : this.order;
    }
    this.fill();
  }

  turn(by) {
    this.page += by;
    this.fill();
  }

  fill(rows = ROWS, whole = false) {
    if (!this.columns) return;
    const list = whole ? this.order : this.listed;
    const begin = whole ? 0 : this.page * ROWS;
    const shown = list.subarray(begin, begin + rows);
    this.body.replaceChildren(...Array.from(shown, (cell) => this.row(cell)));
    const total = list.length.toLocaleString("en-US");
    this.found.textContent = list.length
      ? `${(begin + 1).toLocaleString("en-US")} to ${(begin + shown.length).toLocaleString("en-US")} of ${total} cells`
      : "no cell of that name";
    this.back.disabled = this.page === 0;
    this.next.disabled = begin + ROWS >= list.length;
  }

  row(cell) {
    const { names, latitude, longitude } = this.geography;
    const name = element("button", { type: "button", className: "link" }, names[cell]);
    name.addEventListener("click", () => {
      if (this.maps.pinned !== cell) this.maps.pin(cell);
      document.getElementById("maps").scrollIntoView();
    });
    const cells = this.columns.map(({ entry, values, digits }) => {
      const value = values[cell];
      const status = this.facts.status[value];
      const text = entry.kind === "status" ? (status ? status.name : BLANK)
        : entry.key === "calibrated" ? `${fixed(value, 0)}/${this.facts.members}` : fixed(value, digits);
      return element("td", {}, text);
    });
    return element(
      "tr", {}, element("th", { className: "left", scope: "row" }, name),
      element("td", {}, fixed(latitude[cell], 2)), element("td", {}, fixed(longitude[cell], 2)), ...cells,
    );
  }
}
