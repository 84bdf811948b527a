export const title = "play"; export const lead = ""; export async function load() { return () => {}; }
