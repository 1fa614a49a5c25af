// A canvas that is as sharp as the screen, and the colours of frames.

/** Fit the canvas to its element; the context, in CSS pixels. */
export function prepare(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** The colours of the style sheet, as they are now. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: get("text"), soft: get("soft"), line: get("line"), ground: get("ground"), raised: get("raised"), bad: get("bad"),
    warn: get("warn"), irq: get("irq"), link: get("link"), found: get("found"),
    dark: style.colorScheme.includes("dark") && !style.colorScheme.includes("light")
      || (style.colorScheme.includes("light dark") && matchMedia("(prefers-color-scheme: dark)").matches) };
}

/** 0..1 of a text, the same each time. */
export function hashOf(text) {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return (hash >>> 0) / 4294967296;
}

/** The colour of a function: warm for the kernel itself, another hue for each module; what sleeps is grey. */
export function colourOf(name, { dark = false, asleep = false, irq = false } = {}) {
  const module = / \[([^\]]*)\]$/.exec(name)?.[1] ?? "";
  const lightness = dark ? 30 + 8 * hashOf(name) : 74 + 10 * hashOf(name);
  if (asleep) return `hsl(215 8% ${lightness}%)`;
  if (irq) return `hsl(285 45% ${lightness}%)`;
  const hue = module ? 90 + 160 * hashOf(module) : 18 + 32 * hashOf(name);
  return `hsl(${hue.toFixed(0)} ${module ? 45 : 70}% ${lightness.toFixed(0)}%)`;
}

/** As much of a text as fits so many pixels; "" where that would say nothing. */
export function cut(context, text, room) {
  if (room < 14) return "";
  const letter = context.measureText("m").width, most = Math.floor(room / letter);
  if (text.length <= most) return text;
  return most < 3 ? "" : `${text.slice(0, most - 1)}…`;
}
