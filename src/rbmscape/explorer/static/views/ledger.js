export const title = "ledger"; export const lead = ""; export async function load() { return () => {}; }
