// Numbers as text, as the terminal has them (model/units.py).

/** 1234567 as "1.235 ms"; "?" for what is not known. */
export function formatNs(ns, digits = 3) {
  if (ns < 0) return "?";
  if (ns < 1000) return `${Math.round(ns)} ns`;
  for (const [unit, size] of [["us", 1e3], ["ms", 1e6]]) {
    if (Number((ns / size).toFixed(digits)) < 1000) return `${(ns / size).toFixed(digits)} ${unit}`;
  }
  return `${(ns / 1e9).toFixed(digits)} s`;
}

/** 1234567 as "1,234,567". */
export function formatCount(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** 0.123 as "12.3 %"; "" for what is not known. */
export function formatShare(share) {
  return share >= 0 && Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "";
}

/** 1 call, 2 calls. */
export function plural(n, noun) {
  return n === 1 ? `1 ${noun}` : `${formatCount(n)} ${noun}${/(s|x|ch|sh)$/.test(noun) ? "es" : "s"}`;
}
