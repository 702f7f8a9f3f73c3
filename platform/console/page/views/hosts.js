// The hosts, and one of them: what runs on it, what is open, what listens, as its lines say.

import { h, fill } from '../parts/dom.js';
import { ago, compact, dateTime, rate } from '../parts/format.js';
import { watch } from '../parts/server.js';
import { table } from '../parts/table.js';

export const title = 'Hosts';

/** Columns that say most, first; the others follow by name. */
const FIRST = ['pid', 'name', 'path', 'cmdline', 'fd', 'port', 'protocol', 'address', 'local_address', 'local_port', 'remote_address', 'remote_port', 'state', 'user', 'username', 'uid', 'command'];

function all(root) {
  const cards = h('div', { class: 'cards' });
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Hosts' })), cards);
  return watch({ kind: 'hosts' }, { hosts: (body) => {
    if (!body.hosts.length) { fill(cards, h('p', { class: 'empty', text: body.ready ? 'No host has sent a line yet.' : 'Reading the hosts’ lines…' })); return; }
    fill(cards, body.hosts.map((host) => {
      const total = host.queries.reduce((sum, query) => sum + (body.rates[`${host.name}/${query.name}`] ?? 0), 0);
      const rows = (name) => host.queries.find((query) => query.name === name)?.rows;
      const now = [['processes', 'processes'], ['open_files', 'open files'], ['open_sockets', 'sockets'], ['listening_ports', 'listening ports']].filter(([query]) => rows(query) !== undefined).map(([query, text]) => `${compact(rows(query))} ${text}`);
      const silent = Date.now() - host.last > 60000;
      return h('a', { class: 'card', href: `#/host/${encodeURIComponent(host.name)}` }, h('h2', { text: host.name }),
        h('p', { class: silent ? 'warn' : 'good' }, h('span', { class: 'dot', text: silent ? `silent, last line ${ago(host.last)}` : `last line ${ago(host.last)}` })),
        h('p', { class: 'soft', text: `${host.queries.length} scheduled queries, ${rate(total)}` }), h('p', { text: now.join(', ') }));
    }));
  } });
}

export function show(root, { name, query }) {
  if (!name) return all(root);
  const chosen = query.get('query') ?? 'processes';
  const note = h('span', { class: 'soft' });
  const queries = table([
    { name: 'Scheduled query', cell: (one) => h('a', { href: `#/host/${encodeURIComponent(name)}?query=${encodeURIComponent(one.name)}`, 'aria-current': one.name === chosen ? 'page' : null, text: one.name }), sort: (one) => one.name },
    { name: 'Rows now', class: 'num', cell: (one) => compact(one.rows), sort: (one) => one.rows },
    { name: 'Lines', class: 'num', cell: (one) => compact(one.lines), sort: (one) => one.lines },
    { name: 'Rate', class: 'num', cell: (one) => rate(one.rate), sort: (one) => one.rate },
    { name: 'Last line', class: 'nowrap', cell: (one) => h('span', { title: dateTime(one.last), text: ago(one.last) }), sort: (one) => one.last },
    { name: 'Topic', cell: (one) => h('a', { href: `#/topic/${encodeURIComponent(one.topic)}?filter=${encodeURIComponent(JSON.stringify([{ field: 'hostIdentifier', operator: 'equals', text: name }]))}`, text: one.topic }) },
  ], { label: `Scheduled queries of ${name}`, key: (one) => one.name });
  const place = h('div', { class: 'panel tight' });
  fill(root, h('div', { class: 'head' }, h('a', { href: '#/hosts', text: 'Hosts' }), h('h1', { text: name }), note), h('div', { class: 'panel tight' }, queries),
    h('div', { class: 'head' }, h('h2', { text: `${chosen}, as it is now` })), place);
  let [rows, shape] = [null, ''];
  return watch({ kind: 'hosts', host: name, query: chosen }, { hosts: (body) => {
    const host = body.hosts.find((one) => one.name === name);
    note.textContent = host ? `last line ${ago(host.last)}` : 'no line of this host yet';
    queries.rows = (host?.queries ?? []).map((one) => ({ ...one, rate: body.rates[`${name}/${one.name}`] ?? 0 }));
    const columns = [...new Set((body.rows ?? []).flatMap((row) => Object.keys(row.columns)))]
      .sort((a, b) => (FIRST.indexOf(a) + 1 || 99) - (FIRST.indexOf(b) + 1 || 99) || a.localeCompare(b)).slice(0, 12);
    if (!rows || shape !== columns.join()) {
      shape = columns.join();
      rows = table([
        ...columns.map((column) => ({
          name: column, sort: (row) => row.columns[column],
          cell: (row) => (column === 'pid' ? h('a', { href: `#/process/${encodeURIComponent(name)}/${encodeURIComponent(row.columns.pid)}`, text: row.columns.pid }) : h('span', { class: 'mono', dir: 'auto', text: String(row.columns[column] ?? '') })),
        })),
        { name: 'Since', class: 'nowrap', cell: (row) => h('span', { title: dateTime(row.since), text: ago(row.since) }), sort: (row) => row.since },
      ], { label: `${chosen} of ${name}`, key: (row) => JSON.stringify(row.columns), empty: 'No row.' });
      fill(place, rows);
    }
    rows.rows = body.rows ?? [];
    if (body.left_out) note.textContent += ` · ${compact(body.left_out)} rows are left out`;
  } });
}
