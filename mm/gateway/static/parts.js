// What the page is made of: elements, tables, tiles and the chart. Text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";

export function make(name, attributes = {}, ...children) {
  const found = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) found.setAttribute(key, "");
    else if (value !== false && value !== null) found.setAttribute(key, value);
  }
  found.append(...children.filter((one) => one !== null && one !== ""));
  return found;
}

export function clock(ms) {
  return new Date(ms).toISOString().slice(11, 19) + "Z";
}

// Decimal text with its digits in groups; no number is computed from it.
export function grouped(text) {
  const [, sign, whole, rest] = /^(-?)([0-9]+)(.*)$/.exec(String(text)) || [];
  return whole === undefined ? String(text) : sign + whole.replace(/\B(?=([0-9]{3})+$)/g, ",") + rest;
}

// Money to two decimals, or to as many as it has; only zeros are left out.
export function money(text) {
  return String(text).replace(/(\.[0-9]{2}[0-9]*?)0+$/, "$1");
}

export function signed(text) {
  const word = grouped(text);
  return /^-/.test(word) || !/[1-9]/.test(word) ? word : "+" + word;
}

// The first names of so many.
export function listed(names, count) {
  if (!count) return "none";
  const more = count - names.length;
  return names.join(", ") + (more > 0 ? ` and ${grouped(more)} more` : "");
}

export function tone(text) {
  return /^-/.test(text) ? "loss" : /[1-9]/.test(text) ? "gain" : "";
}

export function tile(name, value, beside = "", meter = null) {
  const shown = make("dd", { class: value.length > 10 ? "long" : null }, value, beside ? make("small", {}, beside) : "");
  if (meter) shown.append(make("meter", { min: 0, max: meter[1], value: meter[0], "aria-label": name }));
  return make("div", { class: "tile" }, make("dt", {}, name), shown);
}

// A table keeps its rows and cells: only a text that has changed is set, so that focus, selection
// and a screen reader stay where they are. On a phone each row of a stacked one has two lines.
export class Table {
  constructor(caption, columns, stacked = false) {
    // The roles are named, since a table that is laid out in another way may lose them.
    const head = columns.map((one) => make("th", { scope: "col", role: "columnheader", class: one.class || null }, one.name));
    this.columns = columns;
    this.body = make("tbody", { role: "rowgroup" });
    this.caption = make("caption", {}, make("h2", {}, caption));
    this.more = make("p", { class: "more", hidden: true });
    const heads = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head));
    const table = make("table", { role: "table", class: stacked ? "stacked" : null }, this.caption, heads, this.body);
    this.element = make("div", { class: "sheet", tabindex: 0, role: "region", "aria-label": caption }, table, this.more);
  }

  update(rows, key) {
    const known = new Map([...this.body.children].map((row) => [row.dataset.key, row]));
    const kept = rows.map((row) => {
      const name = String(key(row));
      const found = known.get(name) || this.row(name);
      this.columns.forEach((column, number) => this.cell(found.children[number], column, row));
      return found;
    });
    const same = kept.length === this.body.children.length && kept.every((row, number) => this.body.children[number] === row);
    if (!same) this.body.replaceChildren(...kept);
  }

  row(name) {
    const others = this.columns.slice(1);
    const cells = [make("th", { scope: "row", role: "rowheader" }), ...others.map(() => make("td", { role: "cell" }))];
    const row = make("tr", { role: "row" }, ...cells);
    row.dataset.key = name;
    return row;
  }

  cell(cell, column, row) {
    const text = column.text(row);
    const classes = [column.class, column.tone && column.tone(row)].filter(Boolean).join(" ");
    if (cell.className !== classes) cell.className = classes;
    const state = JSON.stringify([text, column.flag ? column.flag(row) : null]);
    if (cell.dataset.state === state) return;
    cell.dataset.state = state;
    const shown = column.href ? make("a", { href: column.href(row) }, text) : text;
    const flag = column.flag ? column.flag(row) : null;
    cell.replaceChildren(shown, ...(flag ? [" ", make("span", { class: flag.bad ? "flag bad" : "flag" }, flag.text)] : []));
  }
}

// The bid and the ask over time until now, as steps; a gap where a side was not quoted.
export function chart(points, now) {
  const prices = points.flatMap((one) => [one[1], one[2]]).filter((one) => one !== null).sort((one, other) => one - other);
  if (!prices.length) return make("p", { class: "soft" }, "No prices yet.");
  const [width, height, edge] = [600, 180, 8];
  const [low, high] = [prices[0], prices[prices.length - 1]];
  const begin = points[0][0], last = points[points.length - 1], end = Math.max(now, last[0]);
  const x = (ms) => ((width * (ms - begin)) / Math.max(end - begin, 1)).toFixed(1);
  const share = (price) => (high - low > 0 ? (high - price) / (high - low) : 0.5);
  const y = (price) => (edge + (height - 2 * edge) * share(price)).toFixed(1);
  const newest = (number) => (last[number] === null ? "not quoted" : grouped(last[number]));
  const range = `${grouped(low)} to ${grouped(high)}`;
  const words = `Bid and ask from ${clock(begin)} to ${clock(end)}, ${range}. The ask is the upper line, solid: ${newest(2)} now. The bid is the lower one, dashed: ${newest(1)} now.`;
  const picture = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "chart", role: "img", "aria-label": words };
  for (const [key, value] of Object.entries(attributes)) picture.setAttribute(key, value);
  ["bid", "ask"].forEach((side, number) => {
    let way = "", before = null;
    for (const point of [...points, [end, last[1], last[2]]]) {
      const price = point[number + 1];
      if (before !== null) way += `H${x(point[0])}`;
      if (price !== null) way += before === null ? `M${x(point[0])} ${y(price)}` : `V${y(price)}`;
      before = price;
    }
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", way || "M0 0");
    line.setAttribute("class", `line ${side}`);
    picture.append(line);
  });
  const key = (side, number) => make("span", { class: `key ${side}` }, `${side} ${newest(number)}`);
  const legend = make("figcaption", { class: "legend" }, key("ask", 2), key("bid", 1));
  const ends = make("p", { class: "ends" }, make("span", {}, clock(begin)), make("span", {}, range), make("span", {}, clock(end)));
  return make("figure", {}, legend, picture, ends);
}
