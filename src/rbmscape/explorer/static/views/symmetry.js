// One well becomes two: f(z), the measured density, and u and w of the mode along the training.
import { plot } from "../plot.js";

export const title = "Symmetry breaking";
export const lead = "Along u every mode has a free energy. Early in training it is one well about the random states; when its curvature falls below zero a second well can open, and the data choose a side.";

export const knobs = (ctx) => [
  { name: "mode", label: "Mode", min: 1, max: Math.min(8, ctx.summary.n_visible, ctx.summary.n_hidden), value: 1 },
  { name: "held", label: "Other modes", options: [["both", "held and averaged"], ["0", "held"], ["1", "averaged over"]], value: "both" },
  { name: "spread", label: "Along the training", options: [["samples", "density of samples"], ["data", "density of data"], ["mean", "means ± deviation"]], value: "samples" },
];

export async function load(ctx) {
  const update = ctx.update, mode = Math.min(8, ctx.mode);
  const data = await ctx.ask("symmetry", { update, mode });
  return () => {
    wells(ctx, data, mode);
    density(ctx, data, mode);
    along(ctx, data, mode, update, "u");
    along(ctx, data, mode, update, "w");
    curvature(ctx, data, update);
  };
}

const NAMES = ["others held (s² = 0)", "averaged over (s² = ¼)"];

function wells(ctx, data, mode) {
  const x = data.z.values, n = x.length, marks = [], lowest = [];
  for (const k of [0, 1]) {
    if (ctx.state.held !== undefined && ctx.state.held !== "both" && Number(ctx.state.held) !== k) continue;
    const y = data.free_energy.values.slice(k * n, (k + 1) * n), least = Math.min(...y);
    lowest.push(Math.max(...y) - least);
    marks.push({ kind: "line", colour: k, style: k ? "dash" : "", x, y: y.map((v) => v - least), name: `f, ${NAMES[k]}` });
    const at = [...data.minimum.values.slice(2 * k, 2 * k + 2)].filter(Number.isFinite);
    marks.push({ kind: "points", colour: k, shape: 2, size: 4, x: at, y: at.map((z) => near(x, y, z) - least) });
  }
  if (data.marginal && data.marginal.values.some(Number.isFinite)) {
    const finite = [...data.marginal.values].filter(Number.isFinite), least = Math.min(...finite);
    marks.push({ kind: "line", colour: 2, style: "dot", free: true, x, y: data.marginal.values.map((v) => v - least), name: "marginal about the data" });
  }
  marks.push({ kind: "vline", at: 0, style: "axis-w", name: "saddle" });
  marks.push({ kind: "vline", at: data.mu.values[0], name: "μ, random states" });
  const count = (k) => [...data.minimum.values.slice(2 * k, 2 * k + 2)].filter(Number.isFinite).length;
  plot(ctx.panel("wells", `Free energy of mode ${mode}, λ = ${data.singular_value.values[0].toFixed(2)}`, {
    words: `Over the whole range that bits can reach: ${count(0)} ${count(0) === 1 ? "well" : "wells"} with the others held, ${count(1)} averaged over (triangles).`,
  }), marks, { xlabel: `u of mode ${mode}`, ylabel: "f − min f, k_B T", ymin: 0, label: "Landau free energy over its whole range" });
}

function near(x, y, z) {
  let best = 0;
  for (let k = 1; k < x.length; k++) if (Math.abs(x[k] - z) < Math.abs(x[best] - z)) best = k;
  return y[best];
}

function density(ctx, data, mode) {
  const edges = data.u_edge.values, marks = [{ kind: "bars", edges, y: data.samples_u_density.values, colour: 8, name: "samples" }];
  if (data.data_u_density) {
    const middle = Array.from({ length: edges.length - 1 }, (_, k) => (edges[k] + edges[k + 1]) / 2);
    marks.push({ kind: "line", x: middle, y: data.data_u_density.values, colour: 1, name: "data" });
  }
  plot(ctx.panel("density", "Measured density", { words: `Samples: ${data.attrs.samples_method}, ${data.attrs.samples_verdict}` }), marks,
    { xlabel: `u of mode ${mode}`, ylabel: "density", ymin: 0, label: "Density of u of samples and data" });
}

function along(ctx, data, mode, update, axis) {
  const x = data.at.values, marks = [{ kind: "hline", at: 0, name: "saddle" }];
  const chosen = data[`along_data_${axis}_density`] ? ctx.state.spread ?? "samples" : ctx.state.spread === "mean" ? "mean" : "samples";
  if (chosen !== "mean") {
    const density = data[`along_${chosen}_${axis}_density`], edges = data[`along_${axis}_edge`];
    marks.push({ kind: "strips", x, edges: edges.values, values: density.values, low: edges.values, colour: chosen === "data" ? 1 : 0, name: `${chosen}, darker where denser` });
  }
  [["data", 1], ["samples", 0]].forEach(([kind, colour]) => {
    const mean = data[`along_${kind}_${axis}_mean`], sd = data[`along_${kind}_${axis}_sd`];
    if (!mean || chosen !== "mean") return;
    marks.push({ kind: "line", x, y: mean.values, low: mean.values.map((v, k) => v - sd.values[k]), high: mean.values.map((v, k) => v + sd.values[k]), colour, style: colour ? "dash" : "", name: `${kind}, ± standard deviation` });
  });
  if (axis === "u") marks.push({ kind: "line", x, y: data.along_mu.values, colour: 4, style: "dot", name: "μ, random states" });
  marks.push({ kind: "vline", at: update, style: "cursor" });
  const index = axis === "u" ? `z of ${mode}, along u` : `z of M + ${mode}, along w`;
  const total = ctx.summary.updates.length, words = x.length < total ? `${x.length} of ${total} checkpoints so far.` : "";
  plot(ctx.panel(`along-${axis}`, `${axis} of mode ${mode} along the training`, { words }), marks, { xscale: "symlog", xmin: 0, xlabel: "updates", ylabel: index, label: `${axis} against updates`, click: (at, axes) => ctx.set({ update: closest(ctx, at, axes) }) });
}

const closest = (ctx, at, axes) => ctx.summary.updates.reduce((best, one) => (Math.abs(axes.x.at(one) - at) < Math.abs(axes.x.at(best) - at) ? one : best));

function curvature(ctx, data, update) {
  const x = data.at.values, n = x.length, marks = [{ kind: "hline", at: 0 }];
  const critical = data.critical_update.values;
  for (const k of [0, 1]) {
    marks.push({ kind: "line", colour: k, style: k ? "dash" : "", x, y: Array.from({ length: n }, (_, t) => data.along_curvature.values[2 * t + k]), name: `curvature, ${NAMES[k]}` });
    if (Number.isFinite(critical[k])) marks.push({ kind: "vline", at: critical[k], style: k ? "ln line-1 dot" : "ln line-0 dot", name: `critical update ${critical[k].toFixed(0)}` });
  }
  marks.push({ kind: "vline", at: update, style: "cursor" });
  plot(ctx.panel("curvature", "Curvature at the random states", { words: "Below zero the single well is unstable." }), marks, { xscale: "symlog", xmin: 0, xlabel: "updates", ylabel: "curvature, k_B T", label: "Curvature against updates" });
}
