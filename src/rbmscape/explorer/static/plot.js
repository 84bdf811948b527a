// Charts as SVG: axes, lines, points, bars, contours; small enough to redraw with every move of the timeline.
const SHAPES = 4;
export const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const short = (value) => (Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3) ? value.toExponential(0) : String(Number(value.toPrecision(4))));

const SCALES = {
  linear: [(x) => x, (x) => x],
  symlog: [(x) => Math.sign(x) * Math.log10(1 + Math.abs(x)), (x) => Math.sign(x) * (10 ** Math.abs(x) - 1)],
  log: [(x) => Math.log10(Math.max(x, 1e-12)), (x) => 10 ** x],
};

/** Round numbers between two ends. */
function ticks(low, high, kind, count) {
  if (kind !== "linear") {
    const found = kind === "symlog" && low <= 0 ? [0] : [];
    for (let power = kind === "log" ? Math.floor(Math.log10(Math.max(low, 1e-12))) : 0; 10 ** power <= high * 1.001; power++) {
      for (const times of high / Math.max(low, 1e-12) < 60 && kind === "log" ? [1, 2, 5] : [1]) {
        if (times * 10 ** power >= low && times * 10 ** power <= high * 1.001) found.push(times * 10 ** power);
      }
    }
    if (kind === "symlog" && low < 0) for (let power = 0; 10 ** power <= -low; power++) found.push(-(10 ** power));
    return found;
  }
  const rough = (high - low) / count || 1;
  const base = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((k) => k * base >= rough) * base;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

function extent(marks, axis, lowest, highest) {
  let low = Infinity, high = -Infinity;
  const see = (value) => {
    if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  };
  for (const mark of marks) {
    if (mark.free) continue;
    for (const name of axis === "x" ? (mark.kind === "strips" ? ["x"] : ["x", "edges"]) : ["y", "low", "high"]) if (mark[name]) mark[name].forEach(see);
    if (mark.kind === "bars" && axis === "y") see(0);
    if (mark.kind === (axis === "x" ? "vline" : "hline") && mark.counts) see(mark.at);
  }
  if (lowest !== undefined) low = lowest;
  if (highest !== undefined) high = highest;
  if (!(low <= high)) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/** Draw marks into an element; returns what converts between pixels and numbers. */
export function plot(root, marks, options = {}) {
  const width = Math.max(280, Math.round(root.clientWidth || 560));
  const height = options.height || Math.round(Math.min(380, Math.max(230, 0.62 * width)));
  const box = { left: 58, right: width - 10, top: 8, bottom: height - 40 };
  const axis = {};
  for (const name of ["x", "y"]) {
    const kind = options[`${name}scale`] || "linear";
    let [low, high] = options[`${name}range`] || extent(marks, name, options[`${name}min`], options[`${name}max`]);
    const [to] = SCALES[kind];
    let [a, b] = [to(low), to(high)];
    if (!options[`${name}range`]) {
      const margin = 0.04 * (b - a);
      if (options[`${name}min`] === undefined) a -= margin;
      if (options[`${name}max`] === undefined) b += margin;
    }
    const [start, stop] = name === "x" ? [box.left, box.right] : [box.bottom, box.top];
    axis[name] = { low: SCALES[kind][1](a), high: SCALES[kind][1](b), kind, at: (value) => start + ((to(value) - a) / (b - a)) * (stop - start) };
  }
  const parts = [frame(box, axis, options, width, height)];
  const clip = `clip${plot.count = (plot.count || 0) + 1}`;
  parts.push(`<clipPath id="${clip}"><rect x="${box.left}" y="${box.top}" width="${box.right - box.left}" height="${box.bottom - box.top}"/></clipPath><g clip-path="url(#${clip})">`);
  for (const mark of marks) parts.push((DRAWN[mark.kind] || (() => ""))(mark, axis, box));
  parts.push("</g>");
  root.innerHTML = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(options.label || "chart")}">${parts.join("")}</svg>`;
  root.append(legend(marks));
  const svg = root.firstChild;
  if (options.hover) hovered(svg, marks, axis, width, options.hover);
  if (options.click) svg.addEventListener("click", (event) => options.click(inside(svg, event, width)[0], axis));
  return { svg, axis, box };
}

function frame(box, axis, options, width, height) {
  const parts = [`<rect class="frame" x="${box.left}" y="${box.top}" width="${box.right - box.left}" height="${box.bottom - box.top}"/>`];
  for (const value of ticks(axis.x.low, axis.x.high, axis.x.kind, width / 90)) {
    const x = axis.x.at(value).toFixed(1);
    parts.push(`<path class="grid" d="M${x} ${box.top}V${box.bottom}"/><text class="tick" x="${x}" y="${box.bottom + 14}" text-anchor="middle">${short(value)}</text>`);
  }
  for (const value of ticks(axis.y.low, axis.y.high, axis.y.kind, height / 60)) {
    const y = axis.y.at(value).toFixed(1);
    parts.push(`<path class="grid" d="M${box.left} ${y}H${box.right}"/><text class="tick" x="${box.left - 5}" y="${+y + 4}" text-anchor="end">${short(value)}</text>`);
  }
  const middle = (box.top + box.bottom) / 2;
  parts.push(`<text x="${(box.left + box.right) / 2}" y="${height - 6}" text-anchor="middle">${escape(options.xlabel || "")}</text>`);
  parts.push(`<text x="13" y="${middle}" text-anchor="middle" transform="rotate(-90 13 ${middle})">${escape(options.ylabel || "")}</text>`);
  return parts.join("");
}

function path(x, y, axis) {
  let text = "", pen = "M";
  for (let k = 0; k < x.length; k++) {
    if (!Number.isFinite(y[k]) || !Number.isFinite(x[k])) { pen = "M"; continue; }
    text += `${pen}${axis.x.at(x[k]).toFixed(1)} ${axis.y.at(y[k]).toFixed(1)}`;
    pen = "L";
  }
  return text;
}

const SHAPE = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x} ${y - 1.3 * r}l${1.2 * r} ${2.2 * r}h${-2.4 * r}z`,
  (x, y, r) => `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
];

const DRAWN = {
  line: (mark, axis) => `${mark.low ? band(mark, axis) : ""}<path class="ln line-${mark.colour || 0} ${mark.style || ""}" d="${path(mark.x, mark.y, axis)}"/>`,
  points: (mark, axis) => {
    const shape = SHAPE[(mark.shape ?? mark.colour ?? 0) % SHAPES], radius = mark.size || 2.4;
    let text = "";
    for (let k = 0; k < mark.x.length; k++) {
      const x = axis.x.at(mark.x[k]), y = axis.y.at(mark.y[k]);
      if (Number.isFinite(x) && Number.isFinite(y)) text += shape(+x.toFixed(1), +y.toFixed(1), radius);
    }
    return `<path class="dots fill-${mark.colour || 0} ${mark.style || ""}" d="${text}"/>${mark.low ? whiskers(mark, axis) : ""}`;
  },
  bars: (mark, axis) => {
    let text = "";
    for (let k = 0; k < mark.y.length; k++) {
      if (!Number.isFinite(mark.y[k])) continue;
      const a = axis.x.at(mark.edges[k]), b = axis.x.at(mark.edges[k + 1]), top = axis.y.at(mark.y[k]), base = axis.y.at(Math.max(0, axis.y.low));
      text += `M${a.toFixed(1)} ${base.toFixed(1)}V${top.toFixed(1)}H${b.toFixed(1)}V${base.toFixed(1)}z`;
    }
    return `<path class="bars fill-${mark.colour || 0}" d="${text}"/>`;
  },
  strips: (mark, axis, box) => strips(mark, axis, box),
  vline: (mark, axis, box) => `<path class="${mark.style || "rule"}" d="M${axis.x.at(mark.at)} ${box.top}V${box.bottom}"/>`,
  hline: (mark, axis, box) => `<path class="${mark.style || "rule"}" d="M${box.left} ${axis.y.at(mark.at)}H${box.right}"/>`,
  star: (mark, axis) => `<path class="star" d="${star(axis.x.at(mark.at[0]), axis.y.at(mark.at[1]), 8)}"/>`,
  arrow: (mark, axis) => `<path class="${mark.style}" d="M${axis.x.at(mark.from[0])} ${axis.y.at(mark.from[1])}L${axis.x.at(mark.to[0])} ${axis.y.at(mark.to[1])}"/>`,
  text: (mark, axis) => `<text class="halo" x="${axis.x.at(mark.at[0]) + 7}" y="${axis.y.at(mark.at[1]) - 6}">${escape(mark.text)}</text>`,
  field: (mark, axis) => field(mark, axis),
};

const SHADES = 6;

/** A histogram for every x, as a strip from half way to the one before to half way to the next; each is darkest at its peak. */
function strips({ x, edges, values, colour = 0 }, axis, box) {
  const bins = values.length / x.length, at = Array.from(x, (one) => axis.x.at(one)), paths = Array(SHADES + 1).fill("");
  for (let t = 0; t < x.length; t++) {
    const left = t ? (at[t - 1] + at[t]) / 2 : box.left, right = t + 1 < x.length ? (at[t] + at[t + 1]) / 2 : box.right;
    let most = 0;
    for (let k = 0; k < bins; k++) most = Math.max(most, values[t * bins + k]);
    for (let k = 0; k < bins; k++) {
      const shade = Math.ceil((SHADES * values[t * bins + k]) / (most || 1));
      if (!(shade > 0)) continue;
      const low = axis.y.at(edges[t * (bins + 1) + k]), high = axis.y.at(edges[t * (bins + 1) + k + 1]);
      paths[shade] += `M${left.toFixed(1)} ${low.toFixed(1)}V${high.toFixed(1)}H${right.toFixed(1)}V${low.toFixed(1)}z`;
    }
  }
  return paths.map((path, shade) => (path ? `<path class="strip fill-${colour}" opacity="${(0.1 + (0.8 * shade) / SHADES).toFixed(2)}" d="${path}"/>` : "")).join("");
}

function band(mark, axis) {
  const there = path(mark.x, mark.high, axis), back = path([...mark.x].reverse(), [...mark.low].reverse(), axis);
  return `<path class="band fill-${mark.colour || 0}" d="${there}${back.replace("M", "L")}z"/>`;
}

function whiskers(mark, axis) {
  let text = "";
  for (let k = 0; k < mark.x.length; k++) {
    if (Number.isFinite(mark.low[k])) text += `M${axis.x.at(mark.x[k])} ${axis.y.at(mark.low[k])}V${axis.y.at(mark.high[k])}`;
  }
  return `<path class="ln line-${mark.colour || 0}" d="${text}"/>`;
}

function star(x, y, radius) {
  let text = "";
  for (let k = 0; k < 10; k++) {
    const length = k % 2 ? radius * 0.42 : radius, angle = (k * Math.PI) / 5 - Math.PI / 2;
    text += `${k ? "L" : "M"}${(x + length * Math.cos(angle)).toFixed(1)} ${(y + length * Math.sin(angle)).toFixed(1)}`;
  }
  return `${text}z`;
}

/** Numbers on a grid: colours below, contours above. */
function field(mark, axis) {
  const { x, y, z, levels = 14 } = mark;
  let low = Infinity, high = -Infinity;
  for (const value of z) { low = Math.min(low, value); high = Math.max(high, value); }
  const canvas = document.createElement("canvas");
  canvas.width = x.length;
  canvas.height = y.length;
  const context = canvas.getContext("2d"), picture = context.createImageData(x.length, y.length);
  for (let j = 0; j < y.length; j++) {
    for (let i = 0; i < x.length; i++) {
      const at = 4 * ((y.length - 1 - j) * x.length + i), t = (z[j * x.length + i] - low) / (high - low || 1);
      // Cividis in three straight pieces: dark blue, grey, yellow.
      picture.data[at] = t < 0.5 ? 250 * t : 125 + 260 * (t - 0.5);
      picture.data[at + 1] = 34 + 200 * t;
      picture.data[at + 2] = t < 0.5 ? 78 + 90 * t : 123 - 120 * (t - 0.5);
      picture.data[at + 3] = 150;
    }
  }
  context.putImageData(picture, 0, 0);
  const left = axis.x.at(x[0]), right = axis.x.at(x[x.length - 1]), bottom = axis.y.at(y[0]), top = axis.y.at(y[y.length - 1]);
  let text = "";
  for (let k = 1; k < levels && high > low; k++) text += contour(mark, low + ((high - low) * k) / levels, axis);
  return `<image href="${canvas.toDataURL()}" x="${left}" y="${top}" width="${right - left}" height="${bottom - top}" preserveAspectRatio="none"/><path class="iso" d="${text}"/>`;
}

/** One level by marching squares. */
function contour({ x, y, z }, level, axis) {
  const nx = x.length;
  let text = "";
  const px = Array.from(x, (value) => axis.x.at(value)), py = Array.from(y, (value) => axis.y.at(value));
  for (let j = 0; j + 1 < y.length; j++) {
    for (let i = 0; i + 1 < nx; i++) {
      const a = z[j * nx + i] - level, b = z[j * nx + i + 1] - level, c = z[(j + 1) * nx + i + 1] - level, d = z[(j + 1) * nx + i] - level;
      const cuts = [];
      if (a > 0 !== b > 0) cuts.push([px[i] + (a / (a - b)) * (px[i + 1] - px[i]), py[j]]);
      if (b > 0 !== c > 0) cuts.push([px[i + 1], py[j] + (b / (b - c)) * (py[j + 1] - py[j])]);
      if (d > 0 !== c > 0) cuts.push([px[i] + (d / (d - c)) * (px[i + 1] - px[i]), py[j + 1]]);
      if (a > 0 !== d > 0) cuts.push([px[i], py[j] + (a / (a - d)) * (py[j + 1] - py[j])]);
      for (let k = 0; k + 1 < cuts.length; k += 2) text += `M${cuts[k][0].toFixed(1)} ${cuts[k][1].toFixed(1)}L${cuts[k + 1][0].toFixed(1)} ${cuts[k + 1][1].toFixed(1)}`;
    }
  }
  return text;
}

function legend(marks) {
  const list = document.createElement("ul");
  list.className = "legend";
  for (const mark of marks) {
    if (!mark.name) continue;
    const item = document.createElement("li");
    const colour = mark.colour || 0;
    const sign = mark.kind === "points" ? `<path class="dots fill-${colour}" d="${SHAPE[(mark.shape ?? colour) % SHAPES](11, 6, 4)}"/>`
      : mark.kind === "bars" || mark.kind === "strips" ? `<path class="bars fill-${colour}" d="M2 2H20V11H2z"/>`
      : mark.kind === "star" ? `<path class="star" d="${star(11, 6, 6)}"/>`
      : mark.kind === "line" ? `<path class="ln line-${colour} ${mark.style || ""}" d="M1 6H21"/>`
      : `<path class="${mark.style || "rule"}" d="M1 6H21"/>`;
    item.innerHTML = `<svg viewBox="0 0 22 12" aria-hidden="true">${sign}</svg> `;
    item.append(mark.name);
    list.append(item);
  }
  return list;
}

function inside(svg, event, width) {
  const place = svg.getBoundingClientRect(), scale = width / place.width;
  return [(event.clientX - place.left) * scale, (event.clientY - place.top) * scale];
}

/** Tell which point is under the pointer; null where none is near. */
function hovered(svg, marks, axis, width, tell) {
  svg.addEventListener("pointermove", (event) => {
    const [x, y] = inside(svg, event, width);
    let best = null, nearest = 14 ** 2;
    for (const mark of marks) {
      if (mark.kind !== "points" || !mark.rows) continue;
      for (let k = 0; k < mark.x.length; k++) {
        const distance = (axis.x.at(mark.x[k]) - x) ** 2 + (axis.y.at(mark.y[k]) - y) ** 2;
        if (distance < nearest) { nearest = distance; best = { mark, k }; }
      }
    }
    tell(best, event);
  });
  svg.addEventListener("pointerleave", (event) => tell(null, event));
}

const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "paint-order"];

/** The picture as a file of its own, with its styles written in. */
export function svgText(svg) {
  return new XMLSerializer().serializeToString(standalone(svg));
}

/** A copy that needs no style sheet, on a ground of the page's colour. */
function standalone(svg) {
  const copy = svg.cloneNode(true), from = [svg, ...svg.querySelectorAll("*")], into = [copy, ...copy.querySelectorAll("*")];
  from.forEach((element, k) => {
    const style = getComputedStyle(element);
    for (const name of KEPT) into[k].setAttribute(name, style.getPropertyValue(name));
  });
  const [width, height] = sizeOf(svg);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const ground = getComputedStyle(document.body).backgroundColor;
  copy.insertAdjacentHTML("afterbegin", `<rect width="${width}" height="${height}" fill="${ground}"/>`);
  return copy;
}

/** Width and height of a picture, drawn as SVG or on a canvas. */
export function sizeOf(picture) {
  if (picture instanceof HTMLCanvasElement) return [picture.width, picture.height];
  return picture.getAttribute("viewBox").split(" ").slice(2).map(Number);
}

/** All pictures of a view below one another, as the text of one SVG: browsers let a click save one file only. */
export function sheetText(pictures) {
  const sizes = pictures.map(sizeOf), width = Math.max(...sizes.map(([w]) => w));
  const sheet = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  let top = 0;
  pictures.forEach((picture, k) => {
    let part;
    if (picture instanceof HTMLCanvasElement) {
      part = document.createElementNS("http://www.w3.org/2000/svg", "image");
      part.setAttribute("href", picture.toDataURL());
      part.setAttribute("width", sizes[k][0]);
      part.setAttribute("height", sizes[k][1]);
    } else {
      part = standalone(picture);
    }
    part.setAttribute("x", 0);
    part.setAttribute("y", top);
    sheet.append(part);
    top += sizes[k][1];
  });
  for (const [name, value] of Object.entries({ width, height: top, viewBox: `0 0 ${width} ${top}` })) sheet.setAttribute(name, value);
  return new XMLSerializer().serializeToString(sheet);
}
