// The claims that a study's report has judged, each with the view that shows it.
export const title = "Claims";
export const lead = "What the paper claims, what this study measured, and a way to the view that shows it.";
const SIGNS = { holds: "✓", fails: "✗" };

// Figures of the report, and the view that shows the same.
const PLACES = [
  [/landscape|centres|saddle|moment|kurtosis|gauss/, "landscape"], [/landau|symmetry|transition|growth|finite|hysteresis/, "symmetry"],
  [/spectr|boson|overlap|align|gap/, "spectrum"], [/hierarch|rotation/, "hierarchy"], [/diffus|relax|potential|slowing/, "diffusion"],
];
const place = (figure) => (PLACES.find(([pattern]) => pattern.test(figure || "")) || [null, "training"])[1];

export async function load(ctx) {
  const found = await ctx.record("ledger");
  return () => {
    const counts = Object.entries(found.counts || {}).map(([verdict, count]) => `${count} ${verdict}`).join(", ");
    const box = ctx.panel("ledger", `Claims of ${found.study || "the study"}`, { wide: true, words: counts });
    const table = document.createElement("table");
    table.createTHead().append(cells("th", ["Verdict", "Claim", "Measured", "See"]));
    const body = table.createTBody();
    for (const claim of found.claims || []) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = place(claim.figure);
      button.setAttribute("aria-label", `Show ${place(claim.figure)} for the claim: ${claim.statement}`);
      button.addEventListener("click", () => ctx.open(place(claim.figure)));
      body.append(cells("td", [`${SIGNS[claim.verdict] || "–"} ${claim.verdict}`, `${claim.statement} (section ${claim.section})`, claim.measured, button]));
    }
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Table of claims");
    scroll.append(table);
    box.replaceChildren(scroll);
  };
}

function cells(kind, contents) {
  const line = document.createElement("tr");
  for (const content of contents) {
    const cell = document.createElement(kind);
    cell.append(content);
    line.append(cell);
  }
  return line;
}
