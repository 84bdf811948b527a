// One state, kept in the address after #, so that every picture has a link.
export const DEFAULTS = { view: "training", update: -1, mode: 1 };

/** What the address says; words that are unknown are kept for the view that knows them. */
export function read() {
  const found = { ...DEFAULTS };
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    found[name] = text !== "" && Number.isFinite(Number(text)) && name !== "run" ? Number(text) : text;
  }
  return found;
}

export function write(state) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value !== undefined && value !== "" && DEFAULTS[name] !== value) words.set(name, String(value));
  }
  history.replaceState(null, "", `${location.pathname}${location.search}#${words}`);
}
