// Questions to the server: each answer is decoded into typed arrays and kept.
const token = new URLSearchParams(location.search).get("token") || "";
const kept = new Map(), open = new Map();
let generation = 0;

export class Waiting extends Error {}

/** The address of a question, the token left out. */
function address(path, words) {
  const known = Object.entries(words || {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(known.map(([name, value]) => [name, String(value)])).toString();
  return text ? `/api/${path}?${text}` : `/api/${path}`;
}

async function fetched(path, words, { ahead = false, signal } = {}) {
  let answer;
  try {
    const headers = { "X-Rbmscape-Token": token, ...(ahead && { "X-Rbmscape-Ahead": "1" }) };
    answer = await fetch(address(path, words), { headers, signal });
  } catch {
    throw new Error("The explorer does not answer; start it again with rbmscape explore.");
  }
  if (answer.ok && answer.status !== 202) return answer;
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 202) throw new Waiting(said.wait || "still being computed");
  throw new Error(said.error || `the explorer answered ${answer.status}`);
}

/** A record of the server as it is. */
export async function record(path, words, options) {
  return (await fetched(path, words, options)).json();
}

/** A file, for a download. */
export async function file(path, words) {
  return (await fetched(path, words)).blob();
}

/** Forget answers once the server knows better ones. */
export function renew(number) {
  if (number !== generation) kept.clear();
  generation = number;
}

/** The numbers of a view: `{attrs, NAME: {dims, shape, values, units}}`; with `ahead` only if they are there already. */
export async function ask(view, words, { ahead = false } = {}) {
  const key = address(`view/${view}`, words);
  if (!kept.has(key)) {
    const stop = new AbortController();
    const asked = record(`view/${view}`, words, { ahead, signal: stop.signal }).then(decoded);
    kept.set(key, asked);
    open.set(key, { stop, update: words?.update });
    asked.catch(() => kept.get(key) === asked && kept.delete(key)).finally(() => open.get(key)?.stop === stop && open.delete(key));
    if (kept.size > 400) kept.delete(kept.keys().next().value);
  }
  return kept.get(key);
}

/** Wait no longer for other checkpoints than this: a browser asks a few questions at once only. */
export function turnTo(update) {
  for (const [key, asked] of open) {
    if (asked.update === undefined || asked.update === update) continue;
    asked.stop.abort();
    open.delete(key);
    kept.delete(key);
  }
}

function decoded(found) {
  const result = { attrs: found.attrs };
  for (const [name, array] of Object.entries(found.arrays)) result[name] = { ...array, values: numbers(array) };
  return result;
}

function numbers(array) {
  if (array.words) return array.words;
  const text = atob(array.data);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return array.kind === "u1" ? bytes : new Float32Array(bytes.buffer);
}

/** Row `k` of the first axis, a view into the same numbers. */
export function row(array, k) {
  const size = array.values.length / array.shape[0];
  return array.values.subarray(k * size, (k + 1) * size);
}
