// The page: enters a session, follows the live feed, and shows the market or one symbol.
import { Table, chart, clock, grouped, listed, make, money, signed, tile, tone } from "/static/parts.js";

const byId = (id) => document.getElementById(id);
// The symbol in the address: empty on the market's page, null where the address is malformed.
const symbol = (() => {
  try {
    return decodeURIComponent((/^\/symbols\/([^/]+)$/.exec(location.pathname) || [, ""])[1]);
  } catch {
    return null;
  }
})();
// A frame that is older than this is not shown as if it were now.
const STALE_MS = 4000;
let session = null, feed = null, shownAt = 0, serverMs = 0;

// --- the session

async function ask(method, path, body) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (session) headers["x-session-token"] = session.session;
  const options = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
  const answer = await fetch(path, options);
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.message), { status: answer.status });
  return found;
}

async function begin(token) {
  session = await ask("POST", "/session", { token: token.trim() });
  if (await known()) entered();
}

// Whether the symbol is known, as far as the system says: a stream does not say why it is refused.
async function known() {
  if (!symbol || feed) return true;
  try {
    await ask("GET", `/api/explain/${encodeURIComponent(symbol)}?last=1`);
  } catch (error) {
    if (error.status !== 404) return true;
    lead(error.message);
    return false;
  }
  return true;
}

// What stands in the place of a symbol that is not there, with the way to those that are.
function lead(words) {
  feed?.close();
  feed = null;
  byId("enter").hidden = byId("view").hidden = true;
  byId("lost").hidden = false;
  byId("leave").hidden = !session;
  byId("lost-words").textContent = words;
  say("lost", "no such symbol");
}

function entered() {
  byId("enter").hidden = true;
  byId("view").hidden = byId("leave").hidden = false;
  const operates = session.role === "operator";
  byId("operator-form").hidden = operates;
  byId("control-form").hidden = !operates;
  byId("control-what").textContent = symbol ? `These act on ${symbol}.` : "These act on all symbols.";
  for (const button of byId("control-form").querySelectorAll("button")) {
    const verb = button.value === "halt" ? "Halt" : "Resume";
    button.textContent = `${verb} ${symbol || "all symbols"}`;
  }
  if (!feed) follow();
}

function entrance(words = "") {
  feed?.close();
  feed = session = null;
  byId("enter").hidden = false;
  byId("view").hidden = byId("leave").hidden = byId("lost").hidden = true;
  byId("enter-error").textContent = words;
  say("", "a token is needed");
  byId("token").focus();
}

byId("enter-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("token");
  try {
    await begin(field.value);
    byId("content").focus();
  } catch (error) {
    byId("enter-error").textContent = error.message;
    field.focus();
  }
  field.value = "";
});

byId("operator-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("operator-token"), before = session;
  try {
    await begin(field.value);
    const operates = session.role === "operator";
    byId("control-said").textContent = operates ? "Unlocked." : "That is the token for reading.";
    if (operates) byId("why").focus();
  } catch (error) {
    session = before;
    byId("control-said").textContent = error.message;
  }
  field.value = "";
});

byId("control-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const pressed = event.submitter, act = pressed.value, field = byId("why");
  const named = symbol ? { symbols: [symbol] } : { all: true };
  const buttons = [...byId("control-form").querySelectorAll("button")];
  buttons.forEach((one) => { one.disabled = true; });
  try {
    const done = await ask("POST", `/${act}`, { ...named, why: field.value });
    byId("control-said").textContent = done.lines.join(". ");
    field.value = "";
  } catch (error) {
    // While something is down the message says whether it may have been done. Any other fault, or
    // a connection that is lost, leaves it open.
    const before = error.status < 500 ? "Not done: " : "No answer: it may have been done: ";
    byId("control-said").textContent = (error.status === 503 ? "" : before) + error.message;
    if (error.status === 401) entrance(error.message);
  }
  buttons.forEach((one) => { one.disabled = false; });
  // A button that is disabled loses the focus, and the keyboard its place.
  if (document.activeElement === document.body) pressed.focus();
});

// Enter in the reason would press the first button: it leads there, and the next one presses it.
byId("why").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  if (event.target.reportValidity()) byId("control-form").querySelector("button").focus();
});

byId("leave").addEventListener("click", async () => {
  try { await ask("DELETE", "/session"); } catch { /* It is over in any case. */ }
  entrance();
});

// --- the feed

function say(kind, words) {
  const link = byId("link");
  // Said only when it changes: a screen reader reads each change.
  if (link.textContent !== words) link.textContent = words;
  link.className = `link ${kind}`;
}

function follow() {
  feed = new EventSource(symbol ? `/api/live?symbol=${encodeURIComponent(symbol)}` : "/api/live");
  feed.addEventListener("frame", (event) => {
    const frame = JSON.parse(event.data);
    if (frame.unavailable) {
      troubles([{ cause: "unavailable", words: frame.unavailable, expected: false }]);
      stale("the system cannot be read");
      return;
    }
    shownAt = performance.now();
    serverMs = frame.now_ms;
    say("live", "live");
    byId("body").classList.remove("stale");
    show(frame);
  });
  feed.addEventListener("error", async () => {
    stale("connection lost, trying again");
    // The browser tries again by itself, but not after an answer that is an error.
    if (feed && feed.readyState === EventSource.CLOSED) {
      feed = null;
      setTimeout(resume, 1000);
    }
  });
}

async function resume() {
  if (feed) return;
  try {
    session = await ask("GET", "/session");
    if (!session.role) { entrance(); return; }
    if (await known()) entered();
  } catch (error) {
    if (error.status === 401) entrance();
    else setTimeout(resume, 1000);
  }
}

function stale(words) {
  const since = serverMs ? `, as of ${clock(serverMs)}` : "";
  say("lost", words + since);
  byId("body").classList.add("stale");
}

setInterval(() => {
  if (feed && shownAt && performance.now() - shownAt > STALE_MS && byId("link").classList.contains("live")) {
    stale("nothing new, trying again");
  }
}, 1000);

// --- what is shown

// The most troubles that are shown.
const TROUBLES = 12;
let drawn = "", said = "";
function troubles(found) {
  const words = JSON.stringify(found);
  if (words === drawn) return;
  drawn = words;
  const shown = found.slice(0, TROUBLES), more = found.length - shown.length;
  byId("troubles").replaceChildren(
    ...shown.map((one) => make("p", { class: one.expected ? "note" : "alert" }, one.words)),
    more > 0 ? make("p", { class: "note" }, `${more} more are not shown`) : "",
  );
  // A screen reader hears of each trouble once, whatever numbers change in its words meanwhile.
  const causes = found.map((one) => one.cause).join();
  if (causes === said) return;
  said = causes;
  byId("said").textContent = found.length ? found.map((one) => one.words).join(". ") : "Nothing stops trading any more.";
}

function show(frame) {
  const warning = frame.warning ? [{ cause: "durability", words: frame.warning, expected: false }] : [];
  const unread = frame.unread ? [{ cause: "unread", words: `prices and story are old: ${frame.unread}`, expected: false }] : [];
  troubles([...unread, ...warning, ...frame.trouble]);
  byId("foot").textContent = `${frame.server}, ${frame.durability}, all times UTC`;
  (symbol ? showSymbol : showMarket)(frame);
}

const flagOf = (row) => {
  if (row.halted) return { text: "halted: integrity", bad: true };
  if (row.frozen) return { text: "frozen", bad: true };
  if (row.mode !== "active") return { text: row.mode, bad: row.mode === "halted" };
  if (row.retired) return { text: "retired" };
  if (!row.active) return { text: row.outcome === "omitted" ? "omitted" : "no quote" };
  return null;
};
// A side of a quote is shown while something is left of it.
const left = (row, quantity) => row.active && /[1-9]/.test(quantity);
const bidOf = (row) => (left(row, row.bid_quantity) ? grouped(row.bid) : "-");
const askOf = (row) => (left(row, row.ask_quantity) ? grouped(row.ask) : "-");
const sizeOf = (row, quantity) => (left(row, quantity) ? grouped(quantity) : "-");

const tiles = make("dl", { class: "tiles" });
const waiting = make("p", { class: "waiting" });
const market = new Table("Symbols", [
  { name: "symbol", text: (row) => row.symbol, href: (row) => `/symbols/${encodeURIComponent(row.symbol)}`, flag: flagOf },
  { name: "placed", class: "wide left", text: (row) => row.outcome || "-" },
  { name: "size", class: "wide", text: (row) => sizeOf(row, row.bid_quantity) },
  { name: "bid", class: "bid", text: bidOf },
  { name: "ask", class: "ask", text: askOf },
  { name: "size", class: "wide", text: (row) => sizeOf(row, row.ask_quantity) },
  { name: "position", text: (row) => signed(row.net_quantity) },
  { name: "average", class: "wide", text: (row) => (row.average_cost === null ? "-" : grouped(row.average_cost)) },
  { name: "mark", class: "wide", text: (row) => grouped(row.mark) },
  { name: "profit", text: (row) => signed(money(row.profit)), tone: (row) => tone(row.profit) },
], true);
const fillColumns = (withSymbol) => [
  { name: "time", text: (row) => clock(row.ts_ms) },
  ...(withSymbol ? [{ name: "symbol", class: "left", text: (row) => row.symbol }] : []),
  { name: "order", class: "left", text: (row) => row.side, tone: (row) => (row.side === "buy" ? "ask" : "bid") },
  { name: "quantity", text: (row) => grouped(row.quantity) },
  { name: "price", text: (row) => grouped(row.price) },
  { name: "client", class: "wide left", text: (row) => row.client_id },
];
const fills = new Table("Newest fills", fillColumns(!symbol), !symbol);
const processes = new Table("Processes", [
  { name: "process", text: (row) => row.name, flag: (row) => (row.state === "silent" || row.state === "unheard" ? { text: row.state, bad: true } : null) },
  { name: "state", class: "left", text: (row) => row.state },
  { name: "restarts", text: (row) => grouped(row.restarts) },
  { name: "done", text: (row) => grouped(row.count) },
]);
const price = make("section", { class: "sheet" });
const story = make("section", { class: "sheet" });
let storySaid = "";

// The parts are made once, and then only what is in them changes.
function setUp(parts) {
  if (!byId("body").children.length) byId("body").append(...parts());
}

function showWaiting(budgets, who) {
  waiting.replaceChildren(...budgets.map((one) => make("span", {}, `Waiting for ${one.budget} exposure: ${who(one)}`)));
}

function showMarket(frame) {
  setUp(() => [tiles, waiting, make("section", {}, market.element), make("div", { class: "columns" }, fills.element, processes.element)]);
  const exposure = frame.exposure;
  const unit = exposure.exposure_mode === "notional" ? exposure.currency : "lots";
  const budget = (name, used, units) => tile(`${name} exposure`, grouped(used), `of ${grouped(exposure.limit)} ${unit}`, [units, exposure.limit_units]);
  const total = frame.profit.map((one) => tile("profit", signed(money(one.total)), one.currency));
  tiles.replaceChildren(
    tile("orders", grouped(frame.orders), `${grouped(frame.orders_per_s)} a second`),
    tile("fills", grouped(frame.fills), `lag ${grouped(frame.lag_ms)} ms`),
    tile("quotes", `${frame.quotes_active}`, `of ${frame.symbols} symbols`),
    budget("long", exposure.long, exposure.long_units), budget("short", exposure.short, exposure.short_units), ...total,
  );
  showWaiting(frame.waiting, (one) => listed(one.first, one.count));
  market.update(frame.rows, (row) => row.symbol);
  const hidden = frame.symbols - frame.rows.length;
  market.more.hidden = hidden <= 0;
  market.more.textContent = hidden > 0 ? `${grouped(hidden)} more symbols are not shown; each has its page at /symbols/NAME` : "";
  fills.update(frame.newest_fills, (row) => row.fill_id);
  processes.update(frame.processes, (row) => row.name);
}

function showSymbol(frame) {
  if (frame.missing) {
    lead(`This system has no symbol ${symbol} any more.`);
    return;
  }
  setUp(() => [tiles, waiting, make("div", { class: "columns" }, make("div", {}, price, story), fills.element)]);
  const quote = frame.quote, position = frame.position;
  const flag = flagOf(quote);
  const placed = [quote.quote_id, quote.outcome].filter(Boolean).join(", ");
  tiles.replaceChildren(
    tile("bid", bidOf(quote), `${sizeOf(quote, quote.bid_quantity)} to buy`),
    tile("ask", askOf(quote), `${sizeOf(quote, quote.ask_quantity)} to sell`),
    tile("position", signed(position.net_quantity), `limit ${grouped(position.limit)} long or short`),
    tile("average cost", position.average_cost === null ? "-" : grouped(position.average_cost), `mark ${grouped(position.mark)} (${position.mark_source})`),
    tile(position.currency ? `profit in ${position.currency}` : "profit", signed(money(position.profit)), `spread ${signed(money(position.spread_earned))}, inventory ${signed(money(position.inventory_profit))}`),
    tile("state", flag ? flag.text : "quoted", placed),
  );
  showWaiting(frame.waiting, (one) => (one.place ? `place ${one.place} of ${one.count}` : "no"));
  price.replaceChildren(make("h2", {}, "Bid and ask"), chart(frame.points, frame.now_ms));
  fills.update(frame.newest_fills, (row) => row.fill_id);
  const steps = JSON.stringify(frame.story);
  if (steps !== storySaid) {
    storySaid = steps;
    // Oldest first: an arrow in a line points from the line above it.
    const lines = frame.story.map((one) => make("li", {}, make("time", {}, clock(one.ts_ms)), make("span", {}, one.text)));
    const list = lines.length ? make("ol", { class: "story" }, ...lines) : make("p", { class: "soft" }, "Nothing has happened yet.");
    story.replaceChildren(make("h2", {}, "Its story, oldest first"), list);
  }
}

const title = symbol === null ? "No symbol" : symbol || "Market";
document.title = `${title} - mm`;
byId("title").textContent = title;
byId("home").setAttribute("aria-label", symbol === "" ? "mm" : "mm, back to the market");
if (symbol !== "") byId("home").textContent = "← mm";
if (symbol === null) lead("The address is malformed, so it names no symbol.");
else resume();
