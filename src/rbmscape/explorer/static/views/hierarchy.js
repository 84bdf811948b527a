// Turn two modes into each other and see the samples change; all of it happens here.
import { row } from "../ask.js";
import { pictures } from "../images.js";

export const title = "Hierarchy";
export const lead = "Choose two modes and turn the knob: first modes change whole images, later ones single pixels. Half a turn flips the sign of both modes.";
export const leadWithoutImages = "Choose two modes and turn the knob: first modes change many units at once, later ones single units. Half a turn flips the sign of both modes.";
let data = null, buffers = null;

export const knobs = (ctx) => {
  const most = Math.min(32, ctx.summary.n_visible, ctx.summary.n_hidden);
  return [
    { name: "first", label: "Modes", min: 1, max: most, value: 1, change: () => turn(ctx) },
    { name: "second", label: "and", min: 1, max: most, value: Math.min(2, most), change: () => turn(ctx) },
    { name: "angle", label: "Angle", min: 0, max: 360, value: 180, change: () => turn(ctx) },
    { name: "spin", label: "Turn by itself", type: "button", press: () => spin(ctx) },
  ];
};

export async function load(ctx) {
  const found = await ctx.ask("hierarchy", { update: ctx.update });
  return () => {
    data = found;
    buffers = null;
    turn(ctx);
    vectors(ctx);
  };
}

/** The fields after the turn: a change of rank 2, see views/hierarchy.py. */
export function turned(found, first, second, angle) {
  const [samples, units] = found.field.shape, modes = found.strength.shape[1];
  const c = Math.cos(angle), s = Math.sin(angle);
  const u = row(found.vector, first), v = row(found.vector, second), field = new Float32Array(samples * units);
  for (let k = 0; k < samples; k++) {
    const a = found.strength.values[k * modes + first], b = found.strength.values[k * modes + second];
    const da = first === second ? 0 : c * a + s * b - a, db = first === second ? 0 : c * b - s * a - b;
    for (let i = 0; i < units; i++) field[k * units + i] = found.field.values[k * units + i] + da * u[i] + db * v[i];
  }
  return field;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

export function turn(ctx) {
  if (!data) return 0;
  const most = data.vector.shape[0], pick = (name, usual) => Math.max(1, Math.min(most, ctx.state[name] ?? usual)) - 1;
  const [samples, units] = data.field.shape, first = pick("first", 1), second = pick("second", 2);
  const field = turned(data, first, second, ((ctx.state.angle ?? 180) * Math.PI) / 180);
  if (!buffers) buffers = { before: Uint8Array.from(data.field.values, (x, k) => (data.uniform.values[k] < sigmoid(x) ? 1 : 0)), after: new Uint8Array(samples * units) };
  let changed = 0, expected = 0;
  for (let k = 0; k < field.length; k++) {
    const p = sigmoid(field[k]);
    buffers.after[k] = data.uniform.values[k] < p ? 1 : 0;
    changed += buffers.after[k] !== buffers.before[k];
    expected += Math.abs(p - sigmoid(data.field.values[k]));
  }
  const rows = (values) => Array.from({ length: samples }, (_, k) => values.subarray(k * units, (k + 1) * units));
  const words = `${(changed / samples).toFixed(1)} units changed a sample here, ${(expected / samples).toFixed(1)} expected. Samples: ${data.attrs.samples_method}, ${data.attrs.samples_verdict}`;
  const options = { columns: 5, scale: 2, label: "samples" };
  ctx.panel("before", "Samples as they are").replaceChildren(pictures(ctx, rows(buffers.before), options));
  ctx.panel("after", `Modes ${first + 1} and ${second + 1} turned by ${ctx.state.angle ?? 180}°`, { words }).replaceChildren(pictures(ctx, rows(buffers.after), options));
  window.rbmscape.turned = { changed: changed / samples, expected: expected / samples };
  return expected / samples;
}

function vectors(ctx) {
  const count = Math.min(16, data.vector.shape[0]), rows = Array.from({ length: count }, (_, k) => row(data.vector, k));
  ctx.panel("vectors", "Left singular vectors of the first modes", { wide: true, words: "Orange above zero, blue below; the order and the signs continue those of the other checkpoints." })
    .replaceChildren(pictures(ctx, rows, { columns: 8, scale: 2, signed: true, label: "singular vectors" }));
}

let spinning = 0;
function spin(ctx) {
  if (spinning) { cancelAnimationFrame(spinning); spinning = 0; return; }
  const frames = window.rbmscape.frames = [];
  const step = () => {
    ctx.state.angle = ((ctx.state.angle ?? 180) + 3) % 360;
    turn(ctx);
    frames.push(performance.now());
    const knob = document.getElementById("angle");
    if (!knob) { spinning = 0; return; }
    knob.value = ctx.state.angle;
    knob.parentElement.querySelector("output").textContent = `${ctx.state.angle}°`;
    spinning = requestAnimationFrame(step);
  };
  spinning = requestAnimationFrame(step);
}

export function leave() {
  cancelAnimationFrame(spinning);
  spinning = 0;
}
