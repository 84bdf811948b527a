// Singular values against the law of random weights, and the frequencies of the bosons.
import { plot } from "../plot.js";

export const title = "Spectrum";
export const lead = "Random weights have singular values that follow the Marchenko-Pastur law. Training pulls modes out of that bulk, one after the other; a dressed value above 1, or a frequency below 0, means that a mode does not relax.";
export const knobs = () => [{ name: "scale", label: "Singular values", options: [["log", "logarithmic"], ["linear", "linear"]], value: "log" }];

export async function load(ctx) {
  const update = ctx.update, data = await ctx.ask("spectrum", { update });
  return () => {
    density(ctx, data);
    values(ctx, data);
    along(ctx, data, update, "singular_value", "First singular values along the training", 4);
    if (data.along_dressed) along(ctx, data, update, "dressed", "First dressed values along the training", 1);
    ctx.panel("bosons", "Frequencies of the bosons").parentElement.classList.add("waiting");
    return ctx.ask("bosons", { update }).then((found) => () => frequencies(ctx, found));
  };
}

function density(ctx, data) {
  const marks = [
    { kind: "bars", edges: data.bin_edge.values, y: data.density.values, name: "singular values" },
    { kind: "line", x: data.law_at.values, y: data.law.values, colour: 1, style: "dash", free: true, name: "law of the first weights" },
    { kind: "vline", at: data.threshold.values[0], name: "random weights exceed this once in 100" },
  ];
  plot(ctx.panel("density", "Distribution", { words: `${data.outside.values[0].toFixed(0)} of ${data.singular_value.values.length} modes are outside the random bulk.` }), marks,
    { xlabel: "singular value, k_B T", ylabel: "density", ymin: 0, label: "Distribution of singular values" });
}

function values(ctx, data) {
  const list = data.singular_value.values, rank = Array.from(list, (_, k) => k + 1), threshold = data.threshold.values[0];
  const outside = rank.filter((k) => list[k - 1] > threshold), inside = rank.filter((k) => list[k - 1] <= threshold);
  const marks = [
    { kind: "points", x: outside, y: outside.map((k) => list[k - 1]), colour: 1, shape: 2, name: "outside the bulk" },
    { kind: "points", x: inside, y: inside.map((k) => list[k - 1]), colour: 0, name: "inside" },
    { kind: "hline", at: threshold },
  ];
  const log = (ctx.state.scale || "log") === "log";
  plot(ctx.panel("values", "Singular values by rank"), marks, { xscale: "log", xlabel: "rank", yscale: log ? "log" : "linear", ylabel: "singular value, k_B T", label: "Singular values by rank" });
}

function along(ctx, data, update, name, words, threshold) {
  const x = data.at.values, width = data[`along_${name}`].shape[1];
  const marks = [{ kind: "hline", at: threshold, name: `threshold ${threshold}` }];
  for (let k = 0; k < width; k++) {
    marks.push({ kind: "line", colour: k, style: ["", "dash", "dot"][k % 3], x, y: Array.from(x, (_, t) => data[`along_${name}`].values[t * width + k]), name: `${k + 1}` });
  }
  marks.push({ kind: "vline", at: update, style: "cursor" });
  plot(ctx.panel(`along-${name}`, words), marks, { xscale: "symlog", xmin: 0, xlabel: "updates", ylabel: name === "dressed" ? "dressed value" : "singular value, k_B T", label: words });
}

function frequencies(ctx, data) {
  const list = data.frequency ? data.frequency.values : data.frequency_uniform.values;
  const rank = Array.from(list, (_, k) => k + 1), unstable = rank.filter((k) => list[k - 1] <= 0), stable = rank.filter((k) => list[k - 1] > 0);
  const marks = [
    { kind: "hline", at: 0 },
    { kind: "points", x: unstable, y: unstable.map((k) => list[k - 1]), colour: 1, shape: 2, name: `unstable (${unstable.length})` },
    { kind: "points", x: stable, y: stable.map((k) => list[k - 1]), colour: 0, name: `stable (${stable.length})` },
  ];
  const words = data.frequency ? "About the mean activities of the data, all couplings kept." : "About activities ½, modes uncoupled (equation 40).";
  const box = ctx.panel("bosons", "Frequencies of the bosons", { words });
  box.parentElement.classList.remove("waiting");
  plot(box, marks, { xscale: "log", xlabel: "boson, softest first", yscale: "symlog", ylabel: "frequency ω", label: "Frequencies of the bosons" });
}
