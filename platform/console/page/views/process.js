// One process: everything the topics know of it.

import { h, fill } from '../parts/dom.js';
import { dateTime, time, zone } from '../parts/format.js';
import { watch } from '../parts/server.js';
import { json } from '../parts/record.js';
import { table } from '../parts/table.js';

export const title = 'Process';

export function show(root, { name: host, pid }) {
  const summary = h('p', { class: 'soft', text: 'Reading the host’s lines…' });
  const now = h('div', { class: 'cards' });
  const history = table([
    { name: `Time (${zone})`, class: 'nowrap', cell: (one) => h('span', { class: 'mono', title: dateTime(one.at), text: time(one.at) }) },
    { name: 'Query', class: 'nowrap', cell: (one) => one.query },
    { name: 'What', class: 'nowrap', cell: (one) => h('span', { class: one.action === 'added' ? 'tag good' : 'tag', text: one.action }) },
    { name: 'Row', cell: (one) => h('span', { class: 'mono', dir: 'auto', text: Object.entries(one.columns).filter(([, value]) => value !== '' && value !== '0').map(([key, value]) => `${key}=${value}`).join('  ') }) },
  ], { label: `History of process ${pid}`, key: (one) => `${one.at} ${one.query} ${one.action} ${JSON.stringify(one.columns)}`, empty: 'No line about it among the host’s latest.' });
  fill(root, h('div', { class: 'head' }, h('a', { href: `#/host/${encodeURIComponent(host)}`, text: host }), h('h1', { text: `process ${pid}` })), summary, now,
    h('div', { class: 'head' }, h('h2', { text: 'What was told of it, newest first' })), h('div', { class: 'panel tight' }, history));
  return watch({ kind: 'hosts', host, pid }, { hosts: ({ process }) => {
    const main = process.rows.processes?.[0]?.columns;
    summary.textContent = main ? `${main.path || main.name} · ${main.cmdline || ''}` : 'It is not among the processes that run now.';
    const open = new Set([...now.querySelectorAll('details[open]')].map((one) => one.dataset.query));
    fill(now, Object.entries(process.rows).map(([query, rows]) => h('section', { class: 'card' }, h('h2', { text: query }),
      rows.slice(0, 50).map((row) => (rows.length === 1 ? json(row.columns) : h('details', { 'data-query': `${query} ${row.columns.fd ?? ''}`, open: open.has(`${query} ${row.columns.fd ?? ''}`) },
        h('summary', { class: 'mono', text: row.columns.path || row.columns.remote_address || row.columns.port || Object.values(row.columns).join(' ') }), json(row.columns)))),
      rows.length > 50 && h('p', { class: 'soft', text: `… ${rows.length - 50} more` }))));
    history.rows = process.history;
  } });
}
