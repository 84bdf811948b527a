// Walkers on the landscape, with the images that they stand for.
import { pictures } from "../images.js";
import { plot } from "../plot.js";

export const title = "Diffusion";
export const lead = "Twelve walkers start without knowing anything and diffuse: by Gibbs sampling, in the confined potential, or in its Gaussian approximation, which has no walls. Watch images form where they come to rest.";
export const leadWithoutImages = "Twelve walkers start without knowing anything and diffuse: by Gibbs sampling, in the confined potential, or in its Gaussian approximation, which has no walls. Watch where they come to rest.";
let walk = null, step = 0, timer = 0;

export const knobs = (ctx) => [
  { name: "kind", label: "Dynamics", options: [["gibbs", "Gibbs sampling"], ["entropic", "confined Langevin"], ["gaussian", "Gaussian Langevin"]], value: "gibbs" },
  { name: "mode", label: "Mode", min: 1, max: Math.min(16, ctx.summary.n_visible, ctx.summary.n_hidden), value: 1 },
  { name: "temperature", label: "Temperature D", min: 0.1, max: 3, step: 0.1, value: 1 },
  { name: "seed", label: "Start", min: 0, max: 20, value: 0 },
  { name: "time", label: "Step", min: 0, max: 59, value: 59, change: (value) => go(ctx, value) },
  { name: "go", label: "Go or stop", type: "button", press: () => toggle(ctx) },
  { name: "one", label: "One step", type: "button", press: () => go(ctx, (step + 1) % walk.found.u.shape[0]) },
];

export async function load(ctx) {
  const { kind = "gibbs", temperature = 1, seed = 0 } = ctx.state, mode = Math.min(16, ctx.mode), update = ctx.update;
  const found = await ctx.ask("diffusion", { update, mode, kind, temperature, seed });
  const land = await ctx.ask("landscape", { update, mode }).catch(() => null);
  return () => {
    walk = { found, land, mode };
    go(ctx, Math.min(ctx.state.time ?? 59, found.u.shape[0] - 1));
  };
}

function go(ctx, number) {
  step = number;
  ctx.state.time = number;
  const knob = document.getElementById("time");
  if (knob) { knob.value = number; knob.parentElement.querySelector("output").textContent = String(number); }
  if (!walk) return;
  const { found, land, mode } = walk, [records, walkers] = found.u.shape, marks = [];
  const line = (name, k, until) => Array.from({ length: until + 1 }, (_, t) => found[name].values[t * walkers + k]);
  for (let k = 0; k < walkers; k++) marks.push({ kind: "line", colour: k % 10, style: "thin", x: line("u", k, step), y: line("w", k, step) });
  const now = (name) => Array.from({ length: walkers }, (_, k) => found[name].values[step * walkers + k]);
  if (land && land.points_x) {
    const [u, w] = turned(land);
    marks.unshift({ kind: "points", x: u, y: w, colour: 8, shape: 3, size: 1.8, style: "faint", name: "data", free: false });
  }
  marks.push({ kind: "points", x: now("u"), y: now("w"), colour: 3, shape: 0, size: 4.5, name: "walkers" });
  marks.push({ kind: "star", at: [0, 0], name: "saddle" });
  const time = found.time.values[step];
  plot(ctx.panel("walk", `Walkers on mode ${mode}`, { words: `Step ${step + 1} of ${records}, ${Number(time.toPrecision(3))} ${found.attrs.unit}.` }), marks,
    { xlabel: `u of mode ${mode}`, ylabel: `w of mode ${mode}`, label: "Walkers in the plane of u and w", ...fixed(found, land) });
  const units = found.state.shape[2], low = found.attrs.lowest < 0 || found.attrs.highest > 1;
  const rows = Array.from({ length: walkers }, (_, k) => {
    const start = (step * walkers + k) * units;
    return found.state.values.subarray(start, start + units);
  });
  ctx.panel("images", "What they stand for", { words: low ? "The Gaussian approximation leaves the range from 0 to 1; such values are cut off here." : "" })
    .replaceChildren(pictures(ctx, rows, { columns: 4, scale: 2, label: "decoded states of the walkers" }));
}

/** Data in the plane of u and w, about the saddle. */
function turned(land) {
  const x0 = land.saddle_x.values[0], y0 = land.saddle_y.values[0], half = Math.SQRT1_2;
  const x = Array.from(land.points_x.values, (v) => v - x0), y = Array.from(land.points_y.values, (v) => v - y0);
  return [x.map((v, k) => half * (y[k] + v)), x.map((v, k) => half * (y[k] - v))];
}

/** The same axes for all steps, wide enough for walkers and data. */
function fixed(found, land) {
  const [u, w] = land && land.points_x ? turned(land) : [[], []];
  const range = (values) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
    const margin = 0.05 * (high - low) + 1e-6;
    return [low - margin, high + margin];
  };
  return { xrange: range([...found.u.values, ...u, 0]), yrange: range([...found.w.values, ...w, 0]) };
}

function toggle(ctx) {
  if (timer) { clearInterval(timer); timer = 0; return; }
  if (step >= walk.found.u.shape[0] - 1) step = -1;
  timer = setInterval(() => {
    if (!walk || step >= walk.found.u.shape[0] - 1 || !document.getElementById("panel-walk")) { clearInterval(timer); timer = 0; return; }
    go(ctx, step + 1);
  }, 120);
}

export function leave() {
  clearInterval(timer);
  timer = 0;
  walk = null;
}
