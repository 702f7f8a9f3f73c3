// A topic: its messages, live or searched; its settings. What is looked for stands in the address bar.

import { h, fill, eachFrame, download } from '../parts/dom.js';
import { compact, count, time, zone } from '../parts/format.js';
import { get, path, post, watch } from '../parts/server.js';
import { table } from '../parts/table.js';
import { confirm, field, form } from '../parts/dialog.js';
import { brief, openRecord, parse, produce } from '../parts/record.js';
import { addStream } from '../parts/stream_form.js';

export const title = 'Topic';

// How many records are kept, and how many of them are rows while more come: every row costs a part of every frame.
const KEPT = 500;
const ROWS = 50;
const OPERATORS = { contains: 'contains', lacks: 'does not contain', equals: 'is', differs: 'is not', matches: 'matches (regex)', exists: 'is there', missing: 'is not there', above: 'above', below: 'below' };

function csv(records) {
  const cell = (text) => `"${String(text ?? '').replaceAll('"', '""').replace(/^[=+\-@\t\r]/, "'$&")}"`;
  const lines = records.map((record) => [record.partition, record.offset, record.timestamp, record.key?.text, record.value?.text].map(cell).join(','));
  return ['partition,offset,timestamp,key,value', ...lines].join('\r\n');
}

async function settings(topic, root) {
  const described = await get(path`api/topics/${topic}`);
  const change = (setting) => {
    const value = h('input', { value: setting.value ?? '' });
    const loses = /^(retention|cleanup|delete|segment)/.test(setting.name) ? 'Records that the new value does not keep are deleted for good.' : '';
    return form(`${setting.name} of ${topic}`, h('div', { class: 'side' }, loses && h('p', { class: 'warn', text: loses }), field('Value', value)), 'Set', async () => {
      await post(path`api/topics/${topic}/settings`, { name: setting.name, value: value.value });
      await settings(topic, root);
    });
  };
  const list = table([
    { name: 'Setting', cell: (setting) => h('code', { text: setting.name }), sort: (setting) => setting.name },
    { name: 'Value', cell: (setting) => h('span', { class: 'mono', text: setting.is_sensitive ? 'secret' : setting.value ?? '' }) },
    { name: 'Set by', cell: (setting) => (setting.is_own ? h('span', { class: 'tag flow', text: 'this topic' }) : h('span', { class: 'soft', text: 'default' })) },
    { name: '', cell: (setting) => [h('button', { type: 'button', text: 'Edit…', 'aria-label': `Edit ${setting.name}`, onclick: () => change(setting) }), setting.is_own && h('button', { type: 'button', text: 'Reset', 'aria-label': `Reset ${setting.name}`, onclick: async () => { await post(path`api/topics/${topic}/settings`, { name: setting.name, value: null }); await settings(topic, root); } })] },
  ], { label: `Settings of ${topic}`, key: (setting) => setting.name });
  list.rows = described.settings;
  const parts = table([
    { name: 'Partition', class: 'num', cell: (part) => part.partition },
    { name: 'Oldest offset', class: 'num', cell: (part) => count(part.low) },
    { name: 'Next offset', class: 'num', cell: (part) => count(part.high) },
  ], { label: 'Partitions', key: (part) => part.partition });
  parts.rows = described.partitions;
  const drop = async () => {
    const records = described.partitions.reduce((sum, part) => sum + part.high - part.low, 0);
    if (!(await confirm(`Delete ${topic}?`, `The topic and its ${count(records)} records are lost for good. Streams over it stop.`, 'Delete the topic'))) return;
    await post(path`api/topics/${topic}/delete`);
    location.hash = '#/topics';
  };
  fill(root, h('div', { class: 'split' }, h('div', { class: 'panel tight' }, list), h('div', {}, h('div', { class: 'panel tight' }, parts), h('button', { type: 'button', class: 'danger', text: 'Delete the topic…', onclick: drop }))));
}

export function show(root, { name, query }) {
  const state = { from: query.get('from') ?? 'newest', live: query.get('live') !== 'no', filter: JSON.parse(query.get('filter') ?? '[]') };
  const tab = query.get('tab') ?? 'messages';
  const remember = () => {
    const next = new URLSearchParams({ from: state.from });
    if (!state.live) next.set('live', 'no');
    if (state.filter.length) next.set('filter', JSON.stringify(state.filter));
    history.replaceState(null, '', `#/topic/${encodeURIComponent(name)}?${next}`);
  };
  const link = (to, text) => h('a', { href: `#/topic/${encodeURIComponent(name)}?tab=${to}`, 'aria-current': tab === to ? 'page' : null, class: tab === to ? 'tag flow' : 'tag', text });
  const body = h('div');
  const note = h('span', { class: 'soft', role: 'status' });
  const problem = h('p', { class: 'error', role: 'alert', hidden: true });
  const fail = (error) => { problem.textContent = error.message; problem.hidden = false; };
  fill(root, h('div', { class: 'head' }, h('h1', { text: name }), link('messages', 'Messages'), link('settings', 'Settings'), note, h('span', { class: 'grow' }),
    h('button', { type: 'button', text: 'Add a stream…', onclick: () => addStream(name).catch(fail) }),
    h('button', { type: 'button', text: 'Produce…', onclick: () => produce(name) })), problem, body);
  if (tab === 'settings') { settings(name, body).catch(fail); return () => {}; }

  const rows = table([
    { name: `Time (${zone})`, class: 'nowrap', cell: (record) => h('span', { class: 'mono', title: String(record.timestamp), text: time(record.timestamp) }) },
    { name: 'Partition', class: 'num', cell: (record) => record.partition },
    { name: 'Offset', class: 'num', cell: (record) => record.offset },
    { name: 'Key', class: 'nowrap', cell: (record) => { const key = brief(record.key, 60); key.title = record.key?.text ?? ''; return key; } },
    { name: 'Value', class: 'clip', cell: (record) => brief(record.value) },
  ], { label: `Messages of ${name}`, key: (record) => `${record.partition}/${record.offset}`, still: true, limit: KEPT, fresh: true, open: (record) => openRecord(name, record), empty: 'No message.' });
  let [records, stop, before, left, searched] = [[], null, null, 0, null];
  const bar = h('i');
  const more = h('button', { type: 'button', text: 'Older ones', hidden: true, onclick: () => begin({ before }) });
  const halt = h('button', { type: 'button', text: 'Stop', hidden: true, onclick: () => { stop?.(); stop = null; halt.hidden = true; draw(); } });
  const say = () => {
    const shown = Math.min(records.length, limit());
    const parts = [`${compact(shown)} shown`];
    if (shown < records.length) parts.push(`${compact(records.length)} kept`);
    if (searched && searched.total) parts.push(`${count(searched.scanned)} of ${count(searched.total)} searched`);
    if (left) parts.push(`${count(left)} came too fast to be shown`);
    parts.push(stop && state.live ? 'live' : 'stopped');
    note.textContent = parts.join(' · ');
    bar.style.width = searched && searched.total && !searched.done ? `${(100 * searched.scanned) / searched.total}%` : '0';
  };
  const limit = () => (stop && state.live ? ROWS : KEPT);
  const draw = eachFrame(() => { rows.limit = limit(); rows.rows = records; say(); });
  const from = () => {
    if (state.from === 'beginning') return 'beginning';
    if (/^offset:\d+$/.test(state.from)) return { offset: Number(state.from.slice(7)) };
    if (state.from.startsWith('time:')) return { time: Number(state.from.slice(5)) };
    return 'newest';
  };
  const begin = (again = {}) => {
    stop?.();
    problem.hidden = true;
    if (!again.before) { records = []; left = 0; }
    searched = null;
    halt.hidden = false;
    more.hidden = true;
    const filter = state.filter.filter((one) => one.field);
    const ended = watch({ kind: 'records', topic: name, from: from(), filter, follow: state.live && !again.before, limit: filter.length ? 200 : 100, ...again }, {
      restarted: () => { records = []; },
      records: (batch) => {
        left += batch.left_out ?? 0;
        records = batch.live ? [...batch.records, ...records].slice(0, KEPT) : [...records, ...batch.records];
        if (batch.before) { before = batch.before; more.hidden = !batch.has_more; }
        draw();
      },
      progress: (at) => { searched = at; if (at.done && !state.live) halt.hidden = true; draw(); },
      end: ({ error }) => { stop = null; halt.hidden = true; if (error) fail(error); draw(); },
    });
    stop = ended;
    draw();
  };
  const again = () => { remember(); begin(); };
  const start = h('select', { 'aria-label': 'Begin with', onchange: ({ target }) => { place.hidden = ['newest', 'beginning'].includes(target.value); if (place.hidden) { state.from = target.value; again(); } else place.focus(); } },
    [['newest', 'the newest'], ['beginning', 'the oldest'], ['offset', 'an offset…'], ['time', 'a time…']].map(([value, text]) => h('option', { value, text })));
  const place = h('input', { 'aria-label': 'Offset or time', placeholder: 'offset, or 2026-01-31 12:00', onchange: ({ target }) => {
    const at = start.value === 'offset' ? Number(target.value) : Date.parse(target.value);
    if (!Number.isFinite(at) || at < 0) { fail(new Error(`“${target.value}” is no ${start.value === 'offset' ? 'offset' : 'time'}`)); return; }
    state.from = `${start.value}:${Math.trunc(at)}`;
    again();
  } });
  start.value = state.from.split(':')[0];
  place.hidden = ['newest', 'beginning'].includes(start.value);
  place.value = state.from.split(':')[1] ?? '';
  const live = h('button', { type: 'button', 'aria-pressed': String(state.live), text: 'Live', onclick: () => { state.live = !state.live; live.setAttribute('aria-pressed', String(state.live)); again(); } });
  const filters = h('div', { class: 'filters' });
  const suggestions = h('datalist', { id: 'fields' });
  const drawFilters = () => fill(filters, state.filter.map((one, i) => h('div', { class: 'row' },
    h('input', { list: 'fields', value: one.field, placeholder: 'key, value, columns.pid, header:…', 'aria-label': `Field of filter ${i + 1}`, onchange: ({ target }) => { one.field = target.value; again(); } }),
    h('select', { 'aria-label': `How filter ${i + 1} compares`, onchange: ({ target }) => { one.operator = target.value; again(); } }, Object.entries(OPERATORS).map(([value, text]) => h('option', { value, text, selected: value === one.operator }))),
    h('input', { value: one.text, placeholder: 'text', 'aria-label': `Text of filter ${i + 1}`, onchange: ({ target }) => { one.text = target.value; again(); } }),
    h('button', { type: 'button', text: '✕', 'aria-label': `Remove filter ${i + 1}`, onclick: () => { state.filter.splice(i, 1); drawFilters(); again(); } }))));
  const suggest = () => {
    const sample = parse(records[0]?.value?.text);
    const paths = sample && !Array.isArray(sample) ? Object.entries(sample).flatMap(([key, value]) => (value && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value).map((inner) => `${key}.${inner}`) : [key])) : [];
    fill(suggestions, ['key', 'value', 'partition', ...paths].map((value) => h('option', { value })));
  };
  const addFilter = h('button', { type: 'button', text: 'Add a filter', onclick: () => { suggest(); state.filter.push({ field: 'value', operator: 'contains', text: '' }); drawFilters(); filters.lastChild.querySelector('input').focus(); } });
  const save = (kind) => () => (kind === 'csv'
    ? download(`${name}.csv`, csv(rows.rows), 'text/csv')
    : download(`${name}.jsonl`, rows.rows.map((record) => JSON.stringify({ topic: name, ...record, key: record.key?.text ?? null, value: record.value?.text ?? null })).join('\n'), 'application/json'));
  drawFilters();
  fill(body, suggestions, h('div', { class: 'panel' }, h('div', { class: 'row' }, 'Begin with', start, place, live, halt, addFilter, h('span', { class: 'grow' }),
    h('button', { type: 'button', text: 'Save as JSON lines', onclick: save('jsonl') }), h('button', { type: 'button', text: 'Save as CSV', onclick: save('csv') })), filters),
  h('div', { class: 'panel tight' }, h('div', { class: 'progress', 'aria-hidden': 'true' }, bar), rows), more);
  begin();
  return () => stop?.();
}
