// Hold some units and watch the rest being filled in: block Gibbs sampling in the browser.
import { row } from "../ask.js";
import { table } from "../images.js";

export const title = "Play";
export const lead = "Draw on the picture: what you draw is held (orange for on, blue for off), and the model fills in the rest, again and again. The third pen sets a place free again.";
export const leadWithoutImages = "Hold some units on or off, and the model fills in the rest, again and again.";
let model = null, state = null, timer = 0, running = true, at = -1;

export const knobs = (ctx) => [
  ...(named(ctx) ? [] : [
    { name: "pen", label: "Pen", options: [["on", "hold on"], ["off", "hold off"], ["free", "set free"]], value: "on", change: () => {} },
    { name: "size", label: "Width", min: 1, max: 5, value: 2, change: () => {} },
  ]),
  { name: "temperature", label: "Temperature", min: 0.1, max: 3, step: 0.05, value: 1, change: () => {} },
  { name: "start", label: "Begin with", min: 0, max: 39, value: 0, change: () => begin(ctx) },
  { name: "half", label: ctx.shape ? "Hold the upper half" : "Hold the first half", type: "button", press: () => half(ctx) },
  { name: "release", label: "Set all free", type: "button", press: () => state && state.held.fill(0) },
  { name: "run-play", label: "Stop or go", type: "button", press: () => { running = !running; } },
];

export async function load(ctx) {
  const found = await ctx.ask("play", { update: ctx.update });
  return () => {
    model = made(found);
    if (!state || state.v.length !== model.n || at < 0) begin(ctx);
    at = ctx.update;
    show(ctx);
    if (!timer) timer = requestAnimationFrame(() => tick(ctx));
  };
}

/** What sampling needs: weights row by row and column by column. */
export function made(found) {
  const [n, m] = found.weights.shape, weights = found.weights.values, turned = new Float32Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) turned[j * n + i] = weights[i * m + j];
  return { n, m, weights, turned, a: found.visible_bias.values, b: found.hidden_bias.values, start: found.start };
}

/** One Gibbs step at inverse temperature beta; `held` is 0 free, 1 off, 2 on. Returns the probabilities of the units. */
export function gibbs(one, v, held, beta, random = Math.random) {
  const { n, m, weights, turned, a, b } = one, h = new Float32Array(b), field = new Float32Array(a);
  for (let i = 0; i < n; i++) {
    if (held[i]) v[i] = held[i] - 1;
    if (!v[i]) continue;
    const start = i * m;
    for (let j = 0; j < m; j++) h[j] += weights[start + j];
  }
  for (let j = 0; j < m; j++) {
    if (random() * (1 + Math.exp(-beta * h[j])) >= 1) continue;
    const start = j * n;
    for (let i = 0; i < n; i++) field[i] += turned[start + i];
  }
  for (let i = 0; i < n; i++) {
    field[i] = held[i] ? held[i] - 1 : 1 / (1 + Math.exp(-beta * field[i]));
    v[i] = held[i] ? held[i] - 1 : random() < field[i] ? 1 : 0;
  }
  return field;
}

function begin(ctx) {
  const k = Math.min(model.start.shape[0] - 1, ctx.state.start ?? 0);
  state = { v: Uint8Array.from(row(model.start, Math.max(0, k))), held: new Uint8Array(model.n), mean: null, steps: 0 };
  state.mean = Float32Array.from(state.v);
}

function half(ctx) {
  const width = ctx.shape ? ctx.shape[1] : 1, until = Math.floor(model.n / width / 2) * width;
  for (let i = 0; i < until; i++) state.held[i] = 1 + row(model.start, Math.min(model.start.shape[0] - 1, ctx.state.start ?? 0))[i];
}

const named = (ctx) => !ctx.shape && ctx.summary.columns.length > 0;
const shape = (ctx) => named(ctx) ? [model.n, 1] : ctx.shape || [Math.ceil(model.n / Math.ceil(Math.sqrt(model.n))), Math.ceil(Math.sqrt(model.n))];

function show(ctx) {
  const [height, width] = shape(ctx), box = ctx.panel("play", "The visible units", { words: ctx.shape ? "" : named(ctx) ? "A click on a name holds its unit on, then off, then sets it free." : `The data are no images: ${model.n} units, row by row.` });
  if (named(ctx)) return units(ctx, box);
  if (!box.querySelector("canvas")) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.className = "draw";
    canvas.style.width = `${Math.min(420, width * 15)}px`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Picture of the visible units; draw on it to hold units");
    for (const kind of ["pointerdown", "pointermove"]) canvas.addEventListener(kind, (event) => event.buttons && pen(ctx, canvas, event));
    const mean = canvas.cloneNode();
    mean.className = "";
    mean.setAttribute("aria-label", "Running mean of the probabilities");
    box.append(canvas);
    ctx.panel("mean", "Their mean over the last steps").append(mean);
  }
}

/** A line a unit: a button with its name, its state, and a bar for the mean. */
function units(ctx, box) {
  if (box.hasChildNodes()) return;
  const lists = [box, ctx.panel("mean", "Their mean over the last steps")].map((place) => place.appendChild(document.createElement("div")));
  lists.forEach((list) => { list.className = "units"; });
  ctx.summary.columns.forEach((name, i) => {
    const button = document.createElement("button"), label = document.createElement("span");
    button.type = "button";
    button.title = label.title = button.textContent = label.textContent = name;
    button.addEventListener("click", () => { state.held[i] = [2, 0, 1][state.held[i]]; });
    for (const [list, part, words] of [[lists[0], button, `State of ${name}`], [lists[1], label, `Mean of ${name}`]]) {
      const bar = document.createElement("meter");
      bar.setAttribute("aria-label", words);
      list.append(part, bar);
    }
  });
}

/** Named units as a picture: a column the state, and one the mean. */
export const drawn = (ctx) => (named(ctx) && state ? [table([state.v, state.mean], ctx.summary.columns, { label: "state and mean" })] : []);

function paintUnits(ctx) {
  const [buttons, states, means] = ["#panel-play button", "#panel-play meter", "#panel-mean meter"].map((where) => document.querySelectorAll(where));
  ctx.summary.columns.forEach((_, i) => {
    const held = ["free", "held off", "held on"][state.held[i]];
    if (buttons[i].dataset.held !== held) {
      buttons[i].dataset.held = held;
      buttons[i].setAttribute("aria-description", held);
    }
    if (states[i].value !== state.v[i]) states[i].value = state.v[i];
    means[i].value = state.mean[i];
  });
}

function pen(ctx, canvas, event) {
  const place = canvas.getBoundingClientRect(), [height, width] = shape(ctx);
  const x = Math.floor(((event.clientX - place.left) / place.width) * width), y = Math.floor(((event.clientY - place.top) / place.height) * height);
  const value = { on: 2, off: 1, free: 0 }[ctx.state.pen || "on"], reach = Number(ctx.state.size ?? 2) - 1;
  for (let j = -reach; j <= reach; j++) {
    for (let i = -reach; i <= reach; i++) {
      const k = (y + j) * width + x + i;
      if (x + i >= 0 && x + i < width && y + j >= 0 && k >= 0 && k < model.n) state.held[k] = value;
    }
  }
}

function tick(ctx) {
  const canvases = document.querySelectorAll("#panel-play canvas, #panel-mean canvas");
  if (named(ctx) ? !document.querySelector("#panel-mean meter") : canvases.length < 2) { timer = 0; return; }
  if (running) {
    const probability = gibbs(model, state.v, state.held, 1 / Number(ctx.state.temperature ?? 1));
    for (let i = 0; i < model.n; i++) state.mean[i] += 0.08 * (probability[i] - state.mean[i]);
    state.steps++;
  }
  if (named(ctx)) paintUnits(ctx);
  else {
    paint(canvases[0], state.v);
    paint(canvases[1], state.mean);
  }
  (window.rbmscape.frames ||= []).push(performance.now());
  window.rbmscape.play = { steps: state.steps, held: state.held, v: state.v };
  timer = requestAnimationFrame(() => tick(ctx));
}

function paint(canvas, values) {
  const context = canvas.getContext("2d"), picture = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < model.n; i++) {
    const grey = 255 * values[i], held = state.held[i];
    picture.data.set(held === 2 ? [255, 190, 110, 255] : held === 1 ? [20, 50, 120, 255] : [grey, grey, grey, 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
}

export function leave() {
  cancelAnimationFrame(timer);
  timer = 0;
  at = -1;
}
