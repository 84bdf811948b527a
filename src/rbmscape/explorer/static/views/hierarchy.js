export const title = "hierarchy"; export const lead = ""; export async function load() { return () => {}; }
