export const title = "spectrum"; export const lead = ""; export async function load() { return () => {}; }
