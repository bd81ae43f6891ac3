// Numbers and elements, written as the tables of the page write them.

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const BLANK = "–";
const PERIOD = 365.25;

// A number with so many significant digits; thousands are parted, what is very large or small gets a power of ten.
function number(value, digits = 4) {
  if (!Number.isFinite(value)) return BLANK;
  const size = Math.abs(value);
  let text;
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    const raised = String(Number(power)).replace(/[-\d]/g, (sign) => SUPERSCRIPTS[sign]);
    text = `${String(Number(mantissa))}×10${raised}`;
  } else if (size >= 10 ** (digits - 1)) {
    text = Math.round(value).toLocaleString("en-US");
  } else {
    text = String(Number(value.toPrecision(digits)));
  }
  return text.replace("-", "−");
}

function fixed(value, decimals) {
  if (!Number.isFinite(value)) return BLANK;
  const text = value.toFixed(decimals);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

function withUnit(text, unit) {
  return unit && text !== BLANK ? `${text} ${unit}` : text;
}

// A day of the phenological period may have been unwrapped around the others: say it as a day of the year.
function quantityText(value, quantity, digits = 4) {
  if (quantity.circular) return fixed(((value % PERIOD) + PERIOD) % PERIOD, 1);
  return number(value, digits);
}

function placeText(latitude, longitude) {
  const east = ((((longitude + 180) % 360) + 360) % 360) - 180;
  const north = `${number(Math.abs(latitude), 4)}° ${latitude < 0 ? "S" : "N"}`;
  return `${north}, ${number(Math.abs(east), 5)}° ${east < 0 ? "W" : "E"}`;
}

// An HTML element with properties and children; texts are never read as HTML.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "style") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
