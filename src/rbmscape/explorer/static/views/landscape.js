// Contours of one mode's energy, with the saddle, its axes, random states, data and samples.
import { row } from "../ask.js";
import { plot } from "../plot.js";

export const title = "Landscape";
export const lead = "The energy is a sum of saddles, one a mode. Training moves each saddle away from the random states, and the data roll down along u. Point at a state to see it.";
const HALF = Math.SQRT1_2;

export const knobs = (ctx) => [
  { name: "mode", label: "Mode", min: 1, max: Math.min(16, ctx.summary.n_visible, ctx.summary.n_hidden), value: 1 },
  { name: "panels", label: "Modes shown", options: [[1, "one"], [2, "two"], [4, "four"]], value: 1 },
];

export async function load(ctx) {
  const update = ctx.update, most = Math.min(16, ctx.summary.n_visible, ctx.summary.n_hidden);
  const count = Math.min(ctx.state.panels || 1, most), first = Math.min(ctx.mode, most - count + 1);
  const found = await Promise.all(Array.from({ length: count }, (_, k) => ctx.ask("landscape", { update, mode: first + k })));
  return () => {
    for (const extra of document.querySelectorAll("#stage .panel")) if (Number(extra.id.split("-").pop()) >= count) extra.remove();
    found.forEach((data, k) => one(ctx, data, k, update, count));
  };
}

function one(ctx, data, k, update, count) {
  const value = (name) => data[name].values[0];
  const box = ctx.panel(`landscape-${k}`, `Mode ${value("mode")}, λ = ${value("singular_value").toFixed(2)}`, {
    wide: count === 1, words: `Samples: ${data.attrs.samples_method}, ${data.attrs.samples_verdict}`,
  });
  const x = data.grid_x_value.values, y = data.grid_y_value.values, saddle = [value("saddle_x"), value("saddle_y")];
  const marks = [{ kind: "field", x, y, z: data.energy.values }];
  if (saddle.every(Number.isFinite)) {
    const reach = Math.max(x[x.length - 1] - x[0], y[y.length - 1] - y[0]);
    for (const [style, a, b] of [["axis-u", HALF, HALF], ["axis-w", -HALF, HALF]]) {
      marks.push({ kind: "arrow", style, from: [saddle[0] - reach * a, saddle[1] - reach * b], to: [saddle[0] + reach * a, saddle[1] + reach * b], name: style === "axis-u" ? "u: downhill" : "w: uphill" });
    }
  }
  marks.push({ kind: "points", rows: "samples", x: data.samples_x.values, y: data.samples_y.values, colour: 8, shape: 3, size: 2.6, style: "faint", name: "samples" });
  if (data.points_x) for (const mark of classes(data)) marks.push(mark);
  marks.push({ kind: "points", x: [value("mu_x")], y: [value("mu_y")], colour: 4, shape: 1, size: 5, name: "μ: mean of random states" });
  if (saddle.every(Number.isFinite)) marks.push({ kind: "star", at: saddle, name: "saddle" });
  plot(box, marks, {
    xlabel: `x of mode ${value("mode")}`, ylabel: `y of mode ${value("mode")}`, height: count === 1 ? 460 : 330,
    xrange: [x[0], x[x.length - 1]], yrange: [y[0], y[y.length - 1]],
    label: `Energy of mode ${value("mode")} over its plane, with data and samples`, hover: (near, event) => over(ctx, near, event, update),
  });
}

/** Data in one mark a class, told by shape and colour. */
function classes(data) {
  const names = data.attrs.classes, marks = [];
  const labels = data.label.values;
  for (const label of [...new Set(labels)].sort((a, b) => a - b)) {
    const rows = [...labels.keys()].filter((k) => labels[k] === label);
    marks.push({
      kind: "points", rows: "points", index: rows, colour: Math.max(0, label), x: rows.map((k) => data.points_x.values[k]), y: rows.map((k) => data.points_y.values[k]),
      name: label < 0 ? "data" : names[label],
    });
  }
  return marks;
}

let last = "";
async function over(ctx, near, event, update) {
  if (!near) { last = ""; return ctx.tip(event, null); }
  const kind = near.mark.rows, k = near.mark.index ? near.mark.index[near.k] : near.k;
  const key = last = `${kind} ${k} ${update}`;
  const states = await ctx.ask("states", kind === "points" ? { kind } : { kind, update }).catch(() => null);
  if (states && key === last && k < states.state.shape[0]) ctx.tip(event, row(states.state, k), kind === "points" ? `data, ${near.mark.name}` : "sample");
}
