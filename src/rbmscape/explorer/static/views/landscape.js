export const title = "landscape"; export const lead = ""; export async function load() { return () => {}; }
