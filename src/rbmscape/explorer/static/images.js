// States as pictures: pixels where the data are images, else a raster with one state a line.
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

/** One state for the tip of the pointer. */
export function single(values, shape) {
  if (shape) return mosaic([values], shape, { columns: 1, scale: Math.max(1, Math.round(90 / Math.max(...shape))), label: "state" });
  return mosaic([values], null, { label: "state" });
}
