// Numbers, times and sizes for the reader's locale. Times are local, and say their zone.

const number = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const one = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });

export const count = (value) => number.format(value ?? 0);
export const compact = (value) => (value < 10000 ? number.format(value ?? 0) : short.format(value));
export const rate = (value, unit = '') => `${!value ? '0' : value < 0.1 ? '<0.1' : value < 100 ? one.format(value) : compact(Math.round(value))}${unit}/s`;
export const time = (ms) => (ms === null || ms === undefined ? '–' : clock.format(ms));
export const dateTime = (ms) => (ms === null || ms === undefined ? '–' : full.format(ms));
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${one.format(ms / 1000)} s`;
  if (ms < 3600000) return `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
  if (ms < 86400000) return `${one.format(ms / 3600000)} h`;
  return `${one.format(ms / 86400000)} d`;
}

export const ago = (ms) => (ms ? `${duration(Math.max(0, Date.now() - ms))} ago` : 'never');

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${one.format(value)} ${units[unit]}`;
}

/** A lag in words: records, and since when. */
export function lag(value) {
  if (!value) return 'position unknown';
  if (!value.records) return 'up to date';
  const since = value.milliseconds === null ? '' : `, ${value.is_at_least ? 'over ' : ''}${duration(value.milliseconds)}`;
  return `${compact(value.records)} ${value.records === 1 ? 'record' : 'records'} behind${since}`;
}

/** What makes hidden characters visible: controls and marks that turn the direction of text. */
export const visible = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g,
  (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
