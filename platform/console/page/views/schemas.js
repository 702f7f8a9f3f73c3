// The Schema Registry: subjects, their versions, and what differs between two of them.

import { h, fill } from '../parts/dom.js';
import { get, path } from '../parts/server.js';

export const title = 'Schemas';

const pretty = (schema) => { try { return JSON.stringify(JSON.parse(schema), null, 2); } catch { return schema; } };

/** The lines of two texts, with what only one of them has marked. */
export function difference(before, after) {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const rows = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) for (let j = b.length - 1; j >= 0; j -= 1) rows[i][j] = a[i] === b[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
  const out = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { out.push(['', a[i]]); i += 1; j += 1; }
    else if (j >= b.length || (i < a.length && rows[i + 1][j] >= rows[i][j + 1])) { out.push(['minus', a[i]]); i += 1; }
    else { out.push(['plus', b[j]]); j += 1; }
  }
  return out;
}

async function subject(root, name) {
  const { versions, compatibility } = await get(path`api/schemas/${name}`);
  const all = await Promise.all(versions.slice(-20).map((version) => get(path`api/schemas/${name}/${version}`)));
  const shown = h('pre', { class: 'block diff' });
  const choose = (label, start) => h('select', { 'aria-label': label, onchange: () => draw() }, h('option', { value: '', text: 'nothing' }), all.map((one, i) => h('option', { value: i, selected: i === start, text: `version ${one.version}, id ${one.id}` })));
  const after = choose('Version', all.length - 1);
  const before = choose('Compared with', -1);
  const draw = () => {
    const text = (select) => (select.value === '' ? '' : pretty(all[Number(select.value)].schema));
    if (before.value === '') { shown.textContent = text(after); return; }
    fill(shown, difference(text(before), text(after)).map(([kind, text]) => h('span', { class: kind, text: `${kind === 'plus' ? '+' : kind === 'minus' ? '−' : ' '} ${text}\n` })));
  };
  draw();
  fill(root, h('div', { class: 'head' }, h('a', { href: '#/schemas', text: 'Schemas' }), h('h1', { text: name }), h('span', { class: 'tag', text: all.at(-1)?.schemaType ?? 'AVRO' }), h('span', { class: 'tag flow', text: compatibility ?? 'the registry’s compatibility' })),
    h('div', { class: 'panel side' }, h('div', { class: 'row' }, 'Show', after, 'compared with', before), shown));
}

async function all(root) {
  const { subjects, compatibility } = await get('api/schemas');
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Schemas' }), h('span', { class: 'tag flow', text: `${compatibility} by default` })),
    subjects.length ? h('div', { class: 'cards' }, subjects.map((name) => h('a', { class: 'card', href: `#/schemas/${encodeURIComponent(name)}`, text: name }))) : h('p', { class: 'empty', text: 'No subject is registered.' }));
}

export function show(root, { name }) {
  (name ? subject(root, name) : all(root)).catch((error) => fill(root, h('div', { class: 'head' }, h('h1', { text: 'Schemas' })), h('p', { class: error.status === 404 ? 'empty' : 'error', text: error.message })));
  return () => {};
}
