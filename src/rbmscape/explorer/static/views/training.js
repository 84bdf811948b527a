// How the training goes: metrics, likelihood with its error and verdict, samples, weights.
import { row } from "../ask.js";
import { pictures } from "../images.js";
import { plot } from "../plot.js";

export const title = "Training";
export const lead = "What the training measures at every checkpoint, what the model draws by itself, and the weights of its hidden units.";

export async function load(ctx) {
  const update = ctx.update;
  const data = await ctx.ask("training", { update });
  return () => {
    if (data.at.values.length) {
      likelihood(ctx, data, update);
      errors(ctx, data, update);
    }
    const box = ctx.panel("samples", "Samples of the model");
    weights(ctx, data);
    if (!box.hasChildNodes()) ctx.panel("samples", "Samples of the model", { words: "Being drawn …" });
    return ctx.ask("states", { update, most: 40 }).then((found) => () => samples(ctx, found));
  };
}

const click = (ctx) => (x, axis) => {
  const distance = (update) => Math.abs(axis.x.at(update) - x);
  ctx.set({ update: ctx.summary.updates.reduce((best, one) => (distance(one) < distance(best) ? one : best)) });
};

const along = (ctx, label, ylabel) => ({ xscale: "symlog", xmin: 0, xlabel: "updates", ylabel, label, click: click(ctx) });

function likelihood(ctx, data, update) {
  const known = data.log_likelihood, x = data.at.values, marks = [];
  const errorAt = (k) => Math.hypot(data.log_partition_stderr?.values[k] ?? 0, data.log_likelihood_row_stderr?.values[k] ?? 0);
  if (known) {
    const error = known.values.map((_, k) => errorAt(k));
    marks.push({ kind: "line", x, y: known.values, low: known.values.map((v, k) => v - error[k]), high: known.values.map((v, k) => v + error[k]), name: "log-likelihood, ± standard error" });
    marks.push({ kind: "points", x, y: known.values });
  }
  if (data.pseudo_log_likelihood) marks.push({ kind: "line", style: "dash", colour: 1, x, y: data.pseudo_log_likelihood.values, name: "pseudo-log-likelihood" });
  marks.push({ kind: "vline", at: update, style: "cursor" });
  const at = x.indexOf(update);
  const value = known && at >= 0 ? `${known.values[at].toFixed(2)} ± ${errorAt(at).toFixed(2)} nats: ` : "";
  const title = `${known ? "Log" : "Pseudo-log"}-likelihood of held-out data`;
  const box = ctx.panel("likelihood", title, { words: `Likelihood ${value}${data.attrs.likelihood_verdict}. ${data.attrs.objection}` });
  plot(box, marks, along(ctx, `${title} against updates`, "nats a sample"));
}

function errors(ctx, data, update) {
  const names = [["free_energy_train", "training data"], ["free_energy_test", "test data"], ["free_energy_chains", "chains"]];
  const marks = names.filter(([name]) => data[name]).map(([name, shown], k) => ({ kind: "line", colour: k, style: ["", "dash", "dot"][k], x: data.at.values, y: data[name].values, name: shown }));
  marks.push({ kind: "vline", at: update, style: "cursor" });
  plot(ctx.panel("energies", "Free energies", { words: "Training and test apart: the model learns by heart. Chains far above both: it draws what the data do not have." }), marks, along(ctx, "Free energies against updates", "k_B T"));
}

function samples(ctx, states) {
  const rows = Array.from({ length: states.state.shape[0] }, (_, k) => row(states.state, k));
  const box = ctx.panel("samples", "Samples of the model", { words: `${states.attrs.samples_method}, ${states.attrs.samples_verdict}` });
  box.replaceChildren(pictures(ctx, rows, { columns: 10, scale: 1.3, label: `${rows.length} samples of the model` }));
}

function weights(ctx, data) {
  const count = data.weight.shape[0];
  const rows = Array.from({ length: count }, (_, k) => row(data.weight, k));
  const marks = rows.map((_, k) => (data.dead?.values[k] ? "dead" : data.duplicate_of.values[k] >= 0 ? "duplicate" : ""));
  const dead = marks.filter((mark) => mark === "dead").length, duplicate = marks.filter((mark) => mark === "duplicate").length;
  const words = `The ${count} hidden units with the largest weights of ${data.attrs.n_hidden}, orange above zero, blue below. ` +
    `${dead} dead (crossed: on, or off, for all data), ${duplicate} duplicates (struck through: cosine of 0.95 with another).`;
  ctx.panel("weights", "Weights", { words }).replaceChildren(pictures(ctx, rows, { columns: 16, scale: 1, label: "weights of hidden units", signed: true, marks }));
}
