// The page: one state, one timeline, one view at a time.
import { ask, file, record, renew, turnTo, Waiting } from "./ask.js";
import { single } from "./images.js";
import { sheetText, sizeOf, svgText } from "./plot.js";
import { DEFAULTS, read, write } from "./state.js";
import * as training from "./views/training.js";
import * as landscape from "./views/landscape.js";
import * as symmetry from "./views/symmetry.js";
import * as spectrum from "./views/spectrum.js";
import * as hierarchy from "./views/hierarchy.js";
import * as diffusion from "./views/diffusion.js";
import * as play from "./views/play.js";
import * as ledger from "./views/ledger.js";

const VIEWS = { training, landscape, symmetry, spectrum, hierarchy, diffusion, play, ledger };
const element = (id) => document.getElementById(id);
let state = read(), summary = null, drawn = 0, playing = 0, cleanup = null, asked = [];
window.rbmscape = { firsts: [], redraws: [], ready: false };

const view = () => VIEWS[state.view] || training;
const position = () => {
  const updates = summary.updates;
  const at = state.update === -1 ? updates.length - 1 : updates.indexOf(state.update);
  return at < 0 ? updates.length - 1 : at;
};

/** Change the state and draw again. */
function set(changes) {
  state = { ...state, ...changes };
  write(state);
  for (const output of document.querySelectorAll("#controls output")) output.textContent = shownKnob(state[output.htmlFor[0]], output.htmlFor[0]);
  draw();
}

const shownKnob = (value, name) => (name === "angle" ? `${value}°` : String(value));

const context = {
  get state() { return state; },
  get summary() { return summary; },
  get update() { return summary.updates[position()]; },
  get mode() { return Math.max(1, Math.min(state.mode, Math.min(summary.n_visible, summary.n_hidden))); },
  get shape() { return summary.image_shape; },
  set,
  /** The Dataset of a view at this run; what was asked can be downloaded. */
  ask(name, words) {
    const full = { run: summary.name, ...words };
    asked.push([name, full]);
    return ask(name, full);
  },
  record,
  panel,
  redrawn: () => draw(),
  tip,
};

/** A panel of the stage, made when it is first wanted. */
function panel(id, title, { wide = false, words = "" } = {}) {
  let found = element(`panel-${id}`);
  if (!found) {
    found = document.createElement("section");
    found.id = `panel-${id}`;
    found.className = wide ? "panel wide" : "panel";
    found.append(document.createElement("h3"), document.createElement("div"), document.createElement("p"));
    found.children[2].className = "words";
    element("stage").append(found);
  }
  found.children[0].textContent = title;
  found.children[2].textContent = words;
  return found.children[1];
}

/** A state beside the pointer. */
function tip(event, values, words) {
  const box = element("tip");
  box.hidden = !values;
  if (!values) return;
  box.replaceChildren(single(values, summary.image_shape, summary.columns), document.createTextNode(words));
  box.style.left = `${Math.min(event.clientX + 14, innerWidth - 150)}px`;
  box.style.top = `${Math.min(event.clientY + 14, innerHeight - 170)}px`;
}

function say(words) { element("message").textContent = words; }

/** Draw the view of the state; an answer that comes after the state has changed is dropped. */
async function draw() {
  if (!summary) return;
  const number = ++drawn, began = performance.now();
  showTimeline();
  if (!summary.updates.length) return say("No checkpoint has been written yet; the first one appears here by itself.");
  element("stage").classList.add("waiting");
  window.rbmscape.shown = "";
  asked = [];
  turnTo(context.update);
  try {
    let paint = await view().load(context), isFirst = true;
    while (paint) {  // what is painted first may return, or promise, what is painted next
      if (number !== drawn) return;
      const next = paint();
      window.rbmscape.first ??= performance.now();
      if (isFirst) window.rbmscape.firsts.push(performance.now() - began);
      isFirst = false;
      element("stage").classList.remove("waiting");
      paint = await next;
    }
    if (number !== drawn) return;
    say(VIEWS[state.view] ? "" : `There is no view ${state.view}; this is the training.`);
    if (state.update !== -1 && !summary.updates.includes(state.update)) say(`There is no checkpoint at update ${state.update}; this is the last one.`);
    window.rbmscape.redraws.push(performance.now() - began);
    window.rbmscape.ready = true;
    window.rbmscape.shown = `${state.view} ${context.update} ${summary.generation}`;
    ahead(number);
  } catch (error) {
    if (number !== drawn) return;
    say(error.message);
    if (error instanceof Waiting) setTimeout(() => number === drawn && draw(), 700);
  }
}

/** Ask for the neighbours on the timeline before they are wanted. */
async function ahead(number) {
  const here = position(), words = asked.filter(([, one]) => one.update !== undefined);
  const near = [1, -1, 2, -2, 3, -3, 4, 5, 6].map((step) => summary.updates[here + step]).filter((update) => update !== undefined);
  for (const update of near) {
    for (const [name, one] of words) {
      if (number !== drawn || name === "play") return;
      await ask(name, { ...one, update }, { ahead: true }).catch(() => null);
    }
  }
}

function showTimeline() {
  const slider = element("timeline"), at = position(), total = summary.updates.length;
  slider.max = String(Math.max(0, total - 1));
  slider.value = String(at);
  const epoch = summary.epochs[at];
  const words = total ? (summary.kind === "model" ? "one model" : `update ${summary.updates[at]}, epoch ${epoch < 1 ? epoch.toPrecision(2) : Number(epoch.toFixed(1))}`) : "";
  slider.setAttribute("aria-valuetext", words);
  element("when").textContent = words;
  const live = summary.complete ? "" : "training goes on; ";
  const prepared = Math.min(total, ...Object.values(summary.prepared).map((updates) => updates.length));
  element("progress").textContent = summary.stage === "ready" ? "" : `${live}${summary.stage}, ${prepared} of ${total}`;
}

/** The knobs of a view; their values are words of the state. */
function knobs() {
  const form = element("controls");
  form.replaceChildren();
  for (const knob of view().knobs ? view().knobs(context) : []) form.append(made(knob));
}

function made(knob) {
  if (knob.type === "button") {
    const button = document.createElement("button");
    button.type = "button";
    button.id = knob.name;
    button.textContent = knob.label;
    button.addEventListener("click", knob.press);
    return button;
  }
  const label = document.createElement("label");
  const input = document.createElement(knob.options ? "select" : "input");
  input.id = knob.name;
  label.append(`${knob.label} `, input);
  const value = state[knob.name] ?? knob.value;
  if (state[knob.name] === undefined) state[knob.name] = knob.value;
  if (knob.options) {
    for (const [word, shown] of knob.options) input.append(new Option(shown, word, false, String(word) === String(value)));
  } else {
    Object.assign(input, { type: knob.type || "range", min: knob.min, max: knob.max, step: knob.step || 1, value });
    if (input.type === "checkbox") input.checked = Boolean(value);
  }
  if (input.type === "range") {
    const output = document.createElement("output");
    output.htmlFor.add(knob.name);
    output.textContent = shownKnob(value, knob.name);
    label.append(output);
  }
  input.addEventListener("input", () => {
    const text = input.type === "checkbox" ? Number(input.checked) : input.value;
    const chosen = Number.isFinite(Number(text)) && text !== "" ? Number(text) : text;
    if (knob.change) {
      state = { ...state, [knob.name]: chosen };
      write(state);
      for (const output of label.querySelectorAll("output")) output.textContent = shownKnob(chosen, knob.name);
      knob.change(chosen);
    } else set({ [knob.name]: chosen });
  });
  return label;
}

function open(name) {
  if (cleanup) cleanup();
  cleanup = null;
  element("stage").replaceChildren();
  state = { ...state, view: name };
  write(state);
  show();
}

function show() {
  for (const button of element("views").children) {
    if (button.dataset.view === state.view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  element("view-title").textContent = view().title;
  element("lead").textContent = (!summary.image_shape && view().leadWithoutImages) || view().lead;
  knobs();
  downloads();
  cleanup = view().leave || null;
  draw();
}

function downloads() {
  const box = element("downloads");
  box.replaceChildren();
  for (const kind of ["SVG", "PNG", "CSV", "netCDF"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = kind;
    button.setAttribute("aria-label", `Download ${kind === "SVG" || kind === "PNG" ? "the pictures" : "their data"} as ${kind}`);
    button.addEventListener("click", () => download(kind).catch((error) => say(error.message)));
    box.append(button);
  }
}

async function download(kind) {
  const stem = `rbmscape-${state.view}-${context.update}`;
  if (kind === "CSV" || kind === "netCDF") {
    const ending = kind === "CSV" ? "csv" : "nc";
    if (!asked.length) return say("This view has no numbers of its own to download.");
    for (const [name, words] of asked) saved(await file(`view/${name}.${ending}`, words), `${stem}-${name}.${ending}`);
    return;
  }
  const aside = document.createElement("div");  // where a view shows knobs of its own, it draws them as a picture for a file
  aside.className = "aside";
  element("stage").append(aside);
  try {
    aside.append(...(view().drawn?.(context) ?? []));
    const pictures = [...element("stage").querySelectorAll(".panel > div > svg, .panel svg.table, .panel canvas, .aside svg.table")];
    if (!pictures.length) return say("This view has no pictures yet.");
    if (kind === "SVG") return saved(new Blob([sheetText(pictures)], { type: "image/svg+xml" }), `${stem}.svg`);
    saved(await raster(pictures), `${stem}.png`);
  } finally {
    aside.remove();
  }
}

/** All pictures below one another, at twice their size. */
async function raster(pictures) {
  const sizes = pictures.map(sizeOf), canvas = document.createElement("canvas"), draw = canvas.getContext("2d");
  canvas.width = 2 * Math.max(...sizes.map(([width]) => width));
  canvas.height = 2 * sizes.reduce((sum, [, height]) => sum + height, 0);
  let top = 0;
  for (const [k, picture] of pictures.entries()) {
    const [width, height] = sizes[k].map((size) => 2 * size);
    draw.drawImage(picture instanceof HTMLCanvasElement ? picture : await loaded(picture), 0, top, width, height);
    top += height;
  }
  return new Promise((done) => canvas.toBlob(done));
}

async function loaded(svg) {
  const image = new Image(), address = URL.createObjectURL(new Blob([svgText(svg)], { type: "image/svg+xml" }));
  image.src = address;
  await image.decode();
  URL.revokeObjectURL(address);
  return image;
}

function saved(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function move(step) {
  const at = Math.max(0, Math.min(summary.updates.length - 1, position() + step));
  set({ update: at === summary.updates.length - 1 && !summary.complete ? -1 : summary.updates[at] });
}

function togglePlay() {
  playing = playing ? (clearInterval(playing), 0) : setInterval(() => {
    if (position() >= summary.updates.length - 1) { if (summary.complete) togglePlay(); return; }
    if (!element("stage").classList.contains("waiting")) move(1);
  }, 250);
  if (playing && position() >= summary.updates.length - 1) set({ update: summary.updates[0] });
  element("play").textContent = playing ? "■" : "▶";
  element("play").setAttribute("aria-label", playing ? "Stop" : "Play the training");
}

function theme() {
  const now = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* a frame may have no storage */ }
}

const typing = (event) => event.target.matches("input, select, textarea, dialog *") && event.key !== "d" && event.key !== "?";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !summary) return;
  const names = Object.keys(VIEWS);
  if (typing(event)) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") move(event.key === "ArrowRight" ? 1 : -1);
  else if (event.key === " " && !event.target.matches("button")) togglePlay();
  else if (/^[1-9]$/.test(event.key) && names[event.key - 1]) open(names[event.key - 1]);
  else if (event.key === "[" || event.key === "]") { set({ mode: Math.max(1, context.mode + (event.key === "]" ? 1 : -1)) }); knobs(); }
  else if (event.key === "d") theme();
  else if (event.key === "?") element("help").showModal();
  else return;
  event.preventDefault();
});

/** Ask how things stand; draw where something is new. */
async function look() {
  try {
    const found = await record("summary", { run: state.run });
    const before = summary;
    summary = found;
    renew(found.generation * 1e6 + found.updates.length);
    if (!before) begin();
    else if (element("stage").classList.contains("waiting") || isNew(before, found)) draw();
    about();
    showTimeline();
  } catch (error) {
    say(error.message);
    const others = summary && state.run ? await record("summary").catch(() => null) : null;
    if (others) { summary.names = others.names; about(); }
  }
  const slow = summary && summary.complete && summary.stage === "ready";
  setTimeout(look, slow ? 5000 : summary ? 1500 : 500);
}

/** Whether the view that is looked at would be drawn differently now. */
function isNew(before, found) {
  const whole = (one) => (one.prepared[state.view] || []).length === one.updates.length;
  if (state.view === "ledger") return found.ledger !== before.ledger;
  if (found.updates.length !== before.updates.length) return state.update === -1;
  return (whole(found) && !whole(before)) || (found.stage === "ready" && before.stage !== "ready");
}

function about() {
  element("title").textContent = `rbmscape · ${summary.title}`;
  document.title = `${summary.title} · rbmscape explorer`;
  const parts = [`${summary.n_visible} × ${summary.n_hidden} units`, summary.data, summary.recipe, summary.problem || summary.no_data];
  element("about").textContent = parts.filter(Boolean).join(" · ");
  const choice = element("run");
  element("run-label").hidden = summary.names.length < 2;
  if ([...choice.options].map((one) => one.value).join("\n") !== summary.names.join("\n")) choice.replaceChildren(...summary.names.map((name) => new Option(name, name, false, name === summary.name)));
  choice.value = summary.name;
}

function begin() {
  for (const [name, one] of Object.entries(VIEWS)) {
    if (name === "ledger" && !summary.has_ledger) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.view = name;
    button.textContent = one.title;
    button.addEventListener("click", () => open(name));
    element("views").append(button);
  }
  context.open = open;
  show();
}

try { const kept = localStorage.getItem("theme"); if (kept) document.documentElement.dataset.theme = kept; } catch { /* none */ }
element("timeline").addEventListener("input", (event) => {
  const at = Number(event.target.value), last = summary.updates.length - 1;
  set({ update: at === last && !summary.complete ? DEFAULTS.update : summary.updates[at] });
});
element("play").addEventListener("click", togglePlay);
element("theme").addEventListener("click", theme);
element("help-button").addEventListener("click", () => element("help").showModal());
element("help-close").addEventListener("click", () => element("help").close());
element("controls").addEventListener("submit", (event) => event.preventDefault());
element("run").addEventListener("change", (event) => { state = { ...state, run: event.target.value, update: -1 }; write(state); summary.updates = []; look(); setTimeout(draw, 300); });
addEventListener("hashchange", () => { state = read(); element("stage").replaceChildren(); show(); });
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(draw, 150); });
look();
