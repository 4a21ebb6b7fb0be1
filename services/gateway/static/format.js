// Numbers, money and times as people read them.

const whole = new Intl.NumberFormat("en");
const shorter = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** 1,204 · 120K: never more than six characters. */
export const count = (n) => (n >= 100_000 ? short : whole).format(Math.round(n));

/** The same where there is little room: 1.2K. */
export const brisk = (n) => (n >= 1_000 ? shorter : whole).format(Math.round(n));

/** "1 case", "3 cases". */
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

/** Dollars, with as many digits as say something. */
export function usd(n) {
  if (n === 0) return "$0";
  if (n < 0.01) return `$${Number(n.toPrecision(2)).toFixed(Math.min(6, 1 - Math.floor(Math.log10(n))))}`;
  return `$${new Intl.NumberFormat("en", digits(n < 1 ? 3 : n < 1_000 ? 2 : 0)).format(n)}`;
}

const digits = (n) => ({ minimumFractionDigits: n, maximumFractionDigits: n });

/** A share: 77%, 2.1%, 0.03%. */
export function percent(part, all) {
  const share = all ? (100 * part) / all : 0;
  return `${share >= 10 || share === 0 ? Math.round(share) : Number(share.toPrecision(share < 1 ? 1 : 2))}%`;
}

/** A span of time: "8 s", "3 min", "2.5 h", "4 d". */
export function span(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Number((seconds / 3600).toFixed(1))} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A moment: the time of today, else the date too. */
export function moment(iso) {
  const at = new Date(iso);
  const time = at.toLocaleTimeString("en-GB");
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${time}`;
}

/** How long ago. */
export const ago = (iso) => `${span((Date.now() - new Date(iso)) / 1000)} ago`;

/** near_duplicate → near duplicate. */
export const words = (name) => name.replaceAll("_", " ");

/** The beginning of an id: enough to tell two apart by eye. */
export const brief = (id) => id.replace(/^([a-z]+-)([0-9a-f]{8})[0-9a-f]{24}$/, "$1$2…");
