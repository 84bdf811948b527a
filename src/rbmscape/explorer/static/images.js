// States as pictures: pixels where the data are images, else a table with the names of the units, else a raster with one state a line.
import { escape } from "./plot.js";

const grey = (value) => Math.max(0, Math.min(255, Math.round(255 * value)));

/** A canvas of its own resolution, shown enlarged. */
function canvas(width, height, scale, label) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  made.style.width = `${width * scale}px`;
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", label);
  return made;
}

/** Rows of numbers as grey images side by side. `signed`: blue below zero, orange above. */
export function mosaic(rows, shape, { columns = 10, scale = 2, label = "states", signed = false, marks = null } = {}) {
  const [height, width] = shape || [1, rows[0] ? rows[0].length : 1];
  const across = shape ? Math.min(columns, rows.length || 1) : 1;
  const gap = shape ? 2 : 1;
  const down = Math.ceil(rows.length / across) || 1;
  const tall = shape ? height : 3;
  const made = canvas(across * (width + gap) - gap, down * (tall + gap), shape ? scale : Math.max(1, Math.min(6, 600 / width)), label);
  if (!shape) made.style.height = `${Math.max(24, Math.min(12 * down, 420))}px`;
  const context = made.getContext("2d");
  const picture = context.createImageData(made.width, made.height);
  picture.data.fill(128);
  for (let k = 3; k < picture.data.length; k += 4) picture.data[k] = marks ? 0 : 110;
  rows.forEach((values, k) => {
    const left = (k % across) * (width + gap), top = Math.floor(k / across) * (tall + gap);
    let most = 1e-12;
    if (signed) for (const value of values) most = Math.max(most, Math.abs(value));
    for (let y = 0; y < tall; y++) {
      for (let x = 0; x < width; x++) {
        const at = 4 * ((top + y) * made.width + left + x);
        paint(picture.data, at, shape ? values[y * width + x] : values[x], signed, most);
      }
    }
  });
  context.putImageData(picture, 0, 0);
  if (marks) outline(context, marks, across, width + gap, tall + gap, width, tall);
  return made;
}

function paint(data, at, value, signed, most) {
  if (signed) {
    const part = value / most, fade = grey(1 - Math.abs(part));
    data[at] = part > 0 ? 255 : fade;
    data[at + 1] = part > 0 ? grey(1 - 0.55 * Math.abs(part)) : grey(1 - 0.5 * Math.abs(part));
    data[at + 2] = part > 0 ? fade : 255;
  } else {
    data[at] = data[at + 1] = data[at + 2] = grey(value);
  }
  data[at + 3] = 255;
}

/** A cross for "dead", a slash for "duplicate": told by shape, not by colour alone. */
function outline(context, marks, across, stepX, stepY, width, height) {
  context.lineWidth = 1;
  marks.forEach((mark, k) => {
    if (!mark) return;
    const left = (k % across) * stepX, top = Math.floor(k / across) * stepY;
    context.strokeStyle = mark === "dead" ? "#d0021b" : "#1a56db";
    context.beginPath();
    context.moveTo(left, top);
    context.lineTo(left + width, top + height);
    if (mark === "dead") {
      context.moveTo(left + width, top);
      context.lineTo(left, top + height);
    }
    context.stroke();
  });
}

/** States as the context's data are: pictures, a table of named units where they are few, or a raster. */
export function pictures(ctx, rows, options) {
  const names = ctx.summary.columns;
  return ctx.shape || !names.length ? mosaic(rows, ctx.shape, options) : table(rows, names, options);
}

const LINE = 17, NAME = 132, BAR = 90;

/** A line a unit: its name, a bar for the share of states in which it is on, and a cell a state; signed numbers have cells only. */
export function table(rows, names, { label = "states", signed = false, marks = null } = {}) {
  const bar = signed ? 0 : BAR, head = marks ? LINE : 4, left = NAME + bar + (bar ? 8 : 0);
  const room = Math.min(320, document.getElementById("stage").clientWidth - left - 8);
  const cell = Math.max(3, Math.min(16, Math.floor(room / rows.length))), width = left + cell * rows.length + 2, height = head + LINE * names.length + 2;
  const parts = names.map((name, i) => {
    const y = head + i * LINE, mean = rows.reduce((sum, values) => sum + values[i], 0) / rows.length;
    const shown = name.length > 19 ? `${name.slice(0, 18)}…` : name;
    const share = bar ? `<rect class="track" x="${NAME}" y="${y + 3}" width="${bar}" height="${LINE - 6}"/><rect class="bars fill-0" x="${NAME}" y="${y + 3}" width="${(bar * Math.max(0, Math.min(1, mean))).toFixed(1)}" height="${LINE - 6}"/>` : "";
    return `<text class="tick" x="${NAME - 6}" y="${y + 12}" text-anchor="end">${escape(shown)}<title>${escape(name)}${bar ? `: ${mean.toFixed(2)}` : ""}</title></text>${share}`;
  });
  if (rows.length > 1 || signed) {
    parts.push(`<image href="${cells(rows, names.length, signed)}" x="${left}" y="${head}" width="${cell * rows.length}" height="${LINE * names.length}" preserveAspectRatio="none" class="cells"/>`);
  }
  (marks || []).forEach((mark, k) => {
    if (mark) parts.push(`<text class="tick" x="${left + (k + 0.5) * cell}" y="${head - 4}" text-anchor="middle">${mark === "dead" ? "×" : "∕"}</text>`);
  });
  const holder = document.createElement("div");
  holder.className = "scroll";
  holder.innerHTML = `<svg class="table" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(label)} by unit">${parts.join("")}</svg>`;
  holder.firstChild.setAttribute("width", width);
  return holder;
}

/** One pixel a unit and state, as an address. */
function cells(rows, units, signed) {
  const made = canvas(rows.length, units, 1, "cells"), context = made.getContext("2d"), picture = context.createImageData(rows.length, units);
  rows.forEach((values, k) => {
    let most = 1e-12;
    if (signed) for (const value of values) most = Math.max(most, Math.abs(value));
    for (let i = 0; i < units; i++) paint(picture.data, 4 * (i * rows.length + k), values[i], signed, most);
  });
  context.putImageData(picture, 0, 0);
  return made.toDataURL();
}

/** One state for the tip of the pointer: a picture, or the names of the units that are on. */
export function single(values, shape, names = []) {
  if (shape) return mosaic([values], shape, { columns: 1, scale: Math.max(1, Math.round(90 / Math.max(...shape))), label: "state" });
  if (!names.length) return mosaic([values], null, { label: "state" });
  const on = names.filter((_, i) => values[i] > 0.5), words = document.createElement("p");
  words.textContent = on.length ? `On: ${on.slice(0, 12).join(", ")}${on.length > 12 ? ` and ${on.length - 12} more` : ""}` : "All units are off";
  return words;
}
