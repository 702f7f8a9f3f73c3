// The pipeline, from what is really there: hosts, topics, streams, queries, and the joined rows as they come.

import { h, fill, eachFrame } from '../parts/dom.js';
import { compact, duration, lag, rate, time, zone } from '../parts/format.js';
import { graph } from '../parts/graph.js';
import { table } from '../parts/table.js';
import { watch } from '../parts/server.js';

export const title = 'Pipeline';

const ROWS = 100;

/** Nodes and edges of the picture. */
export function picture(overview, hosts) {
  const nodes = new Map();
  const edges = [];
  const rates = new Map(overview.topics.map((topic) => [topic.name, topic.rate]));
  const add = (node) => { if (!nodes.has(node.id)) nodes.set(node.id, node); return nodes.get(node.id); };
  const topicNode = (name) => {
    const topic = overview.topics.find((one) => one.name === name);
    return add({ id: `topic:${name}`, kind: 'topic', column: 1, title: name, sub: topic ? `${compact(topic.records)} records · ${rate(topic.rate)}` : 'not there yet', href: `#/topic/${encodeURIComponent(name)}`, state: topic ? '' : 'stopped', about: `topic ${name}` });
  };
  const linesOf = new Map();
  for (const host of hosts?.hosts ?? []) {
    const rateOf = (query) => hosts.rates[`${host.name}/${query.name}`] ?? 0;
    const total = host.queries.reduce((sum, query) => sum + rateOf(query), 0);
    const silent = Date.now() - host.last > 60000;
    add({ id: `host:${host.name}`, kind: 'host', column: 0, title: host.name, state: silent ? 'behind' : '', sub: silent ? `silent for ${duration(Date.now() - host.last)}` : `${host.queries.length} queries · ${rate(total, ' lines')}`, href: `#/host/${encodeURIComponent(host.name)}` });
    for (const query of host.queries) {
      const topic = topicNode(query.topic);
      const id = `${host.name} ${topic.id}`;
      linesOf.set(id, (linesOf.get(id) ?? 0) + rateOf(query));
      if (!edges.some((edge) => edge.id === id)) edges.push({ id, from: `host:${host.name}`, to: topic.id });
    }
  }
  edges.forEach((edge) => { edge.rate = linesOf.get(edge.id); });
  const sinks = new Map();
  overview.queries.forEach((query) => query.sinks?.forEach((sink) => sinks.set(sink, query)));
  const sourceNode = (name, seen = new Set()) => {
    const known = nodes.get(`source:${name}`);
    if (known || seen.has(name)) return known;
    seen.add(name);
    const source = overview.sources.find((one) => one.name === name);
    if (!source) return null;
    const writer = sinks.get(name);
    const parent = writer ? queryNode(writer, seen) : topicNode(source.topic);
    const node = add({ id: `source:${name}`, kind: 'stream', column: (parent?.column ?? 1) + 1, title: name, sub: writer ? `${source.type.toLowerCase()} · ${rate(rates.get(source.topic))}` : `${source.type.toLowerCase()} over ${source.topic.toUpperCase() === name ? 'its topic' : source.topic}`, href: `#/topic/${encodeURIComponent(source.topic)}`, about: `${source.type.toLowerCase()} ${name} over topic ${source.topic}` });
    if (parent) edges.push({ from: parent.id, to: node.id, rate: rates.get(source.topic) ?? 0 });
    return node;
  };
  const queryNode = (query, seen) => {
    const known = nodes.get(`query:${query.id}`);
    if (known) return known;
    const from = (query.sources ?? []).map((name) => sourceNode(name, seen)).filter(Boolean);
    const isPush = query.type !== 'PERSISTENT';
    const [first, ...joined] = from.map((one) => one.title);
    const isBehind = (query.lag?.milliseconds ?? 0) > 5000;
    const isStopped = query.state && query.state !== 'RUNNING';
    const node = add({
      id: `query:${query.id}`, kind: isPush ? 'push' : 'query', column: Math.max(1, ...from.map((one) => one.column)) + 1,
      title: isPush ? first ?? 'push query' : query.id.replace(/_\d+$/, ''),
      sub: isStopped ? query.state.toLowerCase() : isPush ? (joined.length ? `join ${joined.join(', ')}` : 'push query') : lag(query.lag),
      state: isStopped ? 'stopped' : isBehind ? 'behind' : '',
      href: `#/ksql?query=${encodeURIComponent(query.id)}`, about: query.sql,
    });
    for (const one of from) {
      const topic = overview.sources.find((source) => `source:${source.name}` === one.id)?.topic;
      edges.push({ from: one.id, to: node.id, rate: isStopped ? 0 : rates.get(topic) ?? 0 });
    }
    return node;
  };
  overview.sources.forEach((source) => sourceNode(source.name));
  overview.queries.forEach((query) => queryNode(query, new Set()));
  const names = { host: 'HOSTS', topic: 'TOPICS', stream: 'STREAMS', query: 'QUERIES', push: 'LIVE QUERIES' };
  const all = [...nodes.values()];
  const columns = Array.from({ length: Math.max(0, ...all.map((node) => node.column)) + 1 }, (_, column) => {
    const kinds = new Set(all.filter((node) => node.column === column).map((node) => names[node.kind]));
    return [...kinds].join(' · ');
  });
  return { nodes: all, edges, columns };
}

/** How many streams there are, and tables where there are any. */
function counted(sources) {
  const tables = sources.filter((source) => source.type === 'TABLE').length;
  return [`${sources.length - tables} streams`, ...(tables ? [`${tables} tables`] : [])];
}

/** The statement of the live join, where its streams are there. */
async function joinStatement(sources) {
  const has = (...names) => names.every((name) => sources.some((source) => source.name === name));
  const file = has('PRECISE_PROC', 'PRECISE_FILES') ? 'precise' : has('PROC', 'FILES') ? 'original' : null;
  if (!file) return null;
  const response = await fetch(`snippets/${file}.sql`);
  const sql = (await response.text()).replace(/--[^\n]*\n/g, '').trim();
  return { name: file, sql };
}

export function show(root) {
  const pipe = h('div', { class: 'pipe whole', 'aria-live': 'off' }, h('p', { class: 'empty', text: 'Looking at what is there…' }));
  const legend = h('p', { class: 'soft small', text: 'Dashed lines: records pass now. Every box opens what it stands for.' });
  const summary = h('span', { class: 'soft' });
  const joinNote = h('p', { class: 'soft' }, 'Waiting for the streams of the join.');
  const rows = table([
    { name: `Came at (${zone})`, class: 'nowrap', cell: (row) => h('span', { class: 'mono', text: time(row.at) }) },
    { name: 'Host', class: 'nowrap', cell: (row) => h('a', { href: `#/host/${encodeURIComponent(row.values[0])}`, text: row.values[0] ?? 'null' }) },
    { name: 'Process', cell: (row) => h('span', { class: 'mono', text: row.values[1] ?? 'null' }) },
    { name: 'File', cell: (row) => h('span', { class: 'mono', text: row.values[2] ?? 'null' }) },
  ], { label: 'Joined rows', key: (row) => row.id, limit: ROWS, fresh: true, empty: 'No row yet. A process that opens a file on a host makes one: osqdemo exec host2 -- sh -c \'head -c 1G </dev/urandom >myfile\'' });
  rows.rows = [];
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Pipeline' }), summary, h('span', { class: 'grow' }), legend), pipe,
    h('section', { class: 'panel', 'aria-label': 'Joined rows, live' }, h('div', { class: 'row' }, h('h2', { text: 'Joined rows, live' }), joinNote), rows));
  let [overview, hosts, stopJoin, serial, left] = [null, null, null, 0, 0];
  let list = [];
  let isAsking = false;
  const draw = eachFrame(() => {
    if (!overview) return;
    const { nodes, edges, columns } = picture(overview, hosts);
    if (!nodes.some((node) => node.kind !== 'host')) fill(pipe, h('p', { class: 'empty', text: overview.services.kafka?.is_up ? 'There is no topic yet.' : 'Kafka does not answer.' }));
    else fill(pipe, graph(nodes, edges, { columns, about: 'The pipeline, from hosts to joined rows' }));
    const running = overview.queries.filter((query) => query.type === 'PERSISTENT');
    summary.textContent = [`${hosts?.hosts.length ?? 0} hosts`, `${overview.topics.filter((topic) => !topic.is_internal).length} topics`, ...counted(overview.sources), `${running.filter((query) => query.state === 'RUNNING').length} of ${running.length} queries running`].join(' · ');
  });
  const drawRows = eachFrame(() => { rows.rows = list; });
  const join = async () => {
    if (stopJoin || isAsking || !overview?.services.ksqldb?.is_up) return;
    isAsking = true;
    const statement = await joinStatement(overview.sources).catch(() => null);
    isAsking = false;
    if (!statement || root.dataset.view !== 'pipeline') return;
    joinNote.textContent = `which process of which host has which file open: rows of the ${statement.name} join that come from now on`;
    stopJoin = watch({ kind: 'query', sql: statement.sql, properties: { 'auto.offset.reset': 'latest' } }, {
      rows: (body) => {
        left += body.left_out;
        for (const values of body.rows) { list.unshift({ id: serial += 1, at: Date.now(), values }); }
        list = list.slice(0, ROWS);
        if (left) joinNote.textContent = `${left} rows came too fast to be shown`;
        drawRows();
      },
      end: ({ error }) => { stopJoin = null; joinNote.textContent = error ? `The join has ended: ${error.message}` : 'The join has ended.'; },
    });
  };
  const stops = [
    watch({ kind: 'overview' }, { overview: (body) => { overview = body; draw(); join(); } }),
    watch({ kind: 'hosts' }, { hosts: (body) => { hosts = body; draw(); } }),
  ];
  return () => { stops.forEach((stop) => stop()); stopJoin?.(); };
}
