export const title = "diffusion"; export const lead = ""; export async function load() { return () => {}; }
