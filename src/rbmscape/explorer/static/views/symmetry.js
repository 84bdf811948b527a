export const title = "symmetry"; export const lead = ""; export async function load() { return () => {}; }
