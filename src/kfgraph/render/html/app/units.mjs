// Numbers as text, as the terminal has them (model/units.py).

/** 1234567 as "1.235 ms"; "?" for what is not known. */
export function formatNs(ns, digits = 3) {
  if (ns < 0) return "?";
  if (Math.round(ns) < 1000) return `${Math.round(ns)} ns`;
  for (const [unit, size] of [["us", 1e3], ["ms", 1e6], ["s", 1e9]]) {
    const steps = 10 ** digits, whole = Math.floor(Math.round(ns) / (size / steps) + 0.5);
    if (whole < 1000 * steps || unit === "s") return `${(whole / steps).toFixed(digits)} ${unit}`;
  }
}

/** The average of `n` times, half a nanosecond rounded up. */
export function averageNs(total, n) {
  return Math.floor((total + Math.floor(n / 2)) / n);
}

/** 1234567 as "1,234,567". */
export function formatCount(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** 0.123 as "12.3 %", "<0.1 %" for what would round to nothing; "" for what is not known. */
export function formatShare(share) {
  if (share > 0 && share < 0.0005) return "<0.1 %";
  return share >= 0 && Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "";
}

/** 1 call, 2 calls. */
export function plural(n, noun) {
  return n === 1 ? `1 ${noun}` : `${formatCount(n)} ${noun}${/(s|x|ch|sh)$/.test(noun) ? "es" : "s"}`;
}
