// Sections that fold, and the start of everything else.

function unfold() {
  let target = location.hash && document.getElementById(location.hash.slice(1));
  for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  if (target) target.scrollIntoView();
}

function listenToSections() {
  window.addEventListener("hashchange", unfold);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) unfold();
  });
  const cells = [...document.querySelectorAll("details.cell")];
  document.querySelectorAll("button[data-open]").forEach((button) => {
    button.addEventListener("click", () => cells.forEach((cell) => { cell.open = Boolean(button.dataset.open); }));
  });
  let before = null;
  const openAll = () => {
    if (before) return;
    before = [...document.querySelectorAll("details")].map((one) => [one, one.open]);
    before.forEach(([one]) => { one.open = true; });
  };
  const putBack = () => {
    (before || []).forEach(([one, open]) => { one.open = open; });
    before = null;
  };
  window.addEventListener("beforeprint", openAll);
  window.addEventListener("afterprint", putBack);
  matchMedia("print").addEventListener("change", (query) => (query.matches ? openAll() : putBack()));
  unfold();
}

async function startMaps() {
  const holder = document.getElementById("page-data");
  if (!holder) return;
  if (!document.getElementById("map-root")) {  // no cell is anywhere: there is no map
    document.body.dataset.ready = "yes";
    return;
  }
  if (typeof DecompressionStream === "undefined") {  // browsers of before May 2023 get the page without a script
    document.querySelectorAll("noscript").forEach((one) => { one.outerHTML = one.textContent; });
    return;
  }
  const facts = JSON.parse(holder.textContent);
  const [names, latitude, longitude, land] = await Promise.all(
    [layerText(facts.names), layerFloats(facts.latitude), layerFloats(facts.longitude), layerText(facts.land)],
  );
  const geography = new Geography(facts, names.split("\n"), latitude, longitude, land);
  const maps = new Maps(document.getElementById("map-root"), facts, geography);
  new CellPanel(document.getElementById("cell-panel"), facts, geography, maps);
  await maps.refresh();
  const table = document.getElementById("cell-table");
  if (table) await new CellTable(table, facts, geography, maps).ready;
  document.body.dataset.ready = "yes";
}

listenToSections();
startMaps();
