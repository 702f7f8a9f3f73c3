// A record: opened with its fields, bytes and headers. What it holds is data, whatever it looks like.

import { h, fill } from './dom.js';
import { bytes, dateTime, visible, zone } from './format.js';
import { get, path, post } from './server.js';
import { field, form, show } from './dialog.js';

const DEPTH = 64, ENTRIES = 500;
/** How much text is laid out unasked: a browser takes long for a million characters without a blank. */
const TEXT = 32768;

/** How deep brackets nest, so that a million of them is never walked into. */
function depth(text) {
  let [deepest, now, quoted] = [0, 0, false];
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (quoted) { if (c === '\\') i += 1; else if (c === '"') quoted = false; }
    else if (c === '"') quoted = true;
    else if (c === '{' || c === '[') deepest = Math.max(deepest, now += 1);
    else if (c === '}' || c === ']') now -= 1;
  }
  return deepest;
}

/** JSON as an object, where the text is that and not nested beyond reason. */
export function parse(text) {
  if (!text || !/^\s*[[{]/.test(text) || depth(text) > DEPTH) return undefined;
  try { return JSON.parse(text); } catch { return undefined; }
}

const cut = (text) => (text.length > TEXT ? `${text.slice(0, TEXT)}…` : text);

/** Text as it is; of a long one the beginning, and the rest when asked for. */
function block(text) {
  const pre = h('pre', { class: 'block', dir: 'auto', text: visible(cut(text)) });
  if (text.length <= TEXT) return pre;
  const more = h('button', { type: 'button', text: `Show all ${bytes(text.length)}`, onclick: () => { pre.textContent = visible(text); more.remove(); } });
  return [pre, more];
}

function tree(value, name, open) {
  const label = name === undefined ? [] : [h('span', { class: 'k', text: visible(String(name)) }), ': '];
  if (value === null || typeof value !== 'object') {
    const kind = typeof value === 'string' ? 's' : value === null ? 'z' : 'n';
    return h('div', {}, label, h('span', { class: kind, dir: 'auto', text: cut(visible(JSON.stringify(value))) }));
  }
  const entries = Object.entries(value);
  const summary = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  const inside = h('div');
  const details = h('details', { open, ontoggle: () => {
    if (!details.open || inside.firstChild) return;
    fill(inside, entries.slice(0, ENTRIES).map(([key, child]) => tree(child, key, false)));
    if (entries.length > ENTRIES) inside.append(h('div', { class: 'soft', text: `… ${entries.length - ENTRIES} more` }));
  } }, h('summary', {}, label, h('span', { class: 'soft', text: summary })), inside);
  return details;
}

/** JSON as a tree that opens. */
export const json = (value) => h('div', { class: 'json' }, tree(value, undefined, true));

/** A line for a list: the text, with what is hidden made visible. */
export function brief(part, length = 400) {
  if (part === null) return h('span', { class: 'soft', text: 'null' });
  const text = visible(part.text.slice(0, length));
  return h('span', { class: 'mono', dir: 'auto', text: part.text.length > length || part.is_cut ? `${text}…` : text });
}

function section(name, part, topic, at) {
  if (!part) return h('section', {}, h('h2', { text: name }), h('p', { class: 'soft', text: name === 'Value' ? 'null: a tombstone' : 'null' }));
  const parsed = parse(part.text);
  const raw = block(part.text);
  const notes = [bytes(part.size), part.is_binary && 'not UTF-8', part.is_cut && `the first ${bytes(part.text.length)} are shown`, part.schema_id !== undefined && `schema ${part.schema_id}`];
  const link = h('a', { href: `${path`api/topics/${topic}/records/${at.partition}/${at.offset}`}?raw=${name.toLowerCase()}`, download: '', text: 'the bytes' });
  return h('section', {}, h('div', { class: 'row' }, h('h2', { text: name }), h('span', { class: 'soft small', text: notes.filter(Boolean).join(' · ') }), link),
    parsed === undefined ? raw : [json(parsed), h('details', {}, h('summary', { class: 'small', text: 'as text' }), raw)]);
}

/** Opens a record of a topic. */
export async function openRecord(topic, at) {
  let record;
  try {
    record = await get(path`api/topics/${topic}/records/${at.partition}/${at.offset}`);
  } catch (error) {
    await show('The record is gone', h('p', { class: 'error', text: error.message }));
    return;
  }
  const headers = record.headers.map(([name, part]) => h('tr', {}, h('td', { class: 'mono', text: visible(name) }), h('td', {}, part ? brief(part, 2000) : 'null')));
  const again = () => h('button', { type: 'button', text: 'Copy into a new record…', onclick: () => produce(topic, record) });
  await show(`${topic} · partition ${record.partition} · offset ${record.offset}`, h('div', { class: 'side' },
    h('p', {}, `${dateTime(record.timestamp)} `, h('span', { class: 'soft', text: zone })),
    section('Key', record.key, topic, record),
    section('Value', record.value, topic, record),
    headers.length ? h('section', {}, h('h2', { text: 'Headers' }), h('table', {}, h('tbody', {}, headers))) : null), [again]);
}

/** Asks for a record and writes it; begins with a copy of `like`. */
export async function produce(topic, like) {
  const text = (part) => (part && !part.is_cut && !part.is_binary ? part.text : '');
  const key = h('input', { value: text(like?.key) });
  const value = h('textarea', { rows: 10, value: text(like?.value), class: 'mono' });
  const isTombstone = h('input', { type: 'checkbox', checked: Boolean(like) && !like.value });
  const headers = h('textarea', { rows: 2, class: 'mono', value: (like?.headers ?? []).map(([name, part]) => `${name}=${text(part)}`).join('\n') });
  await form(`A new record of ${topic}`, h('div', { class: 'side' }, field('Key (empty: none)', key), field('Value', value),
    h('label', { class: 'row' }, isTombstone, 'no value: a tombstone'), field('Headers, name=value a line', headers)), 'Produce', async () => {
    if (isTombstone.checked && !key.value) throw new Error('A tombstone needs a key.');
    await post(path`api/topics/${topic}/records`, {
      key: key.value || null,
      value: isTombstone.checked ? null : value.value,
      headers: headers.value.split('\n').filter((line) => line.includes('=')).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    });
  });
}
