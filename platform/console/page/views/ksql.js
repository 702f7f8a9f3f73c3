// ksqlDB: an editor, its answers, the queries that run, and what there is to ask.

import { h, fill, eachFrame } from '../parts/dom.js';
import { count, lag } from '../parts/format.js';
import { get, post, watch } from '../parts/server.js';
import { confirm, show as dialog } from '../parts/dialog.js';
import { editor } from '../parts/editor.js';
import { json } from '../parts/record.js';
import { bars, line } from '../parts/chart.js';
import { plan } from '../parts/plan.js';
import { addStreamOver } from '../parts/stream_form.js';
import { table } from '../parts/table.js';

export const title = 'ksqlDB';

const SNIPPETS = [['The joined rows, host by host', 'precise'], ['The original’s join, word for word', 'original'], ['The sources', 'sources'], ['The original’s streams', 'original-streams'], ['The precise streams', 'precise-streams']];
const KEPT = 1000;
const HISTORY = 'osqdemo.ksql.history';

const remembered = () => { try { return JSON.parse(localStorage.getItem(HISTORY)) ?? []; } catch { return []; } };
const remember = (sql) => localStorage.setItem(HISTORY, JSON.stringify([sql, ...remembered().filter((one) => one !== sql)].slice(0, 50)));

/** Whether a text is a query that is asked row by row, and not a statement. */
const isQuery = (sql) => /^\s*(select|print)\b/i.test(sql.replace(/--[^\n]*\n|\/\*[\s\S]*?\*\//g, ''));

/** `SET 'a'='b';` lines are properties of the request. */
function properties(sql, chosen) {
  const found = { 'auto.offset.reset': chosen };
  const rest = sql.replace(/^\s*SET\s+'([^']+)'\s*=\s*'([^']*)'\s*;/gim, (_, name, value) => { found[name] = value; return ''; });
  return { found, rest };
}

function answer(result) {
  const message = result.commandStatus?.message ?? result.message;
  if (message) return h('p', { class: 'good', text: `${message}` });
  const list = Object.entries(result).find(([key, value]) => Array.isArray(value) && value.length && typeof value[0] === 'object' && key !== 'warnings');
  if (!list) return json(result);
  const names = Object.keys(list[1][0]).filter((name) => typeof list[1][0][name] !== 'object').slice(0, 8);
  const view = table(names.map((name) => ({ name, sort: (row) => row[name], cell: (row) => h('span', { class: 'mono', text: String(row[name] ?? '') }) })), { label: list[0], key: (row) => JSON.stringify(row) });
  view.rows = list[1];
  return view;
}

/** The rows of a query as they come: paused, sorted, charted. */
function results(header) {
  let [all, serial, isPaused, column] = [[], 0, false, -1];
  const view = table(header.columnNames.map((name, i) => ({ name, sort: (row) => row.values[i], cell: (row) => h('span', { class: 'mono', dir: 'auto', text: typeof row.values[i] === 'object' ? JSON.stringify(row.values[i]) : String(row.values[i]) }) })), { label: 'Rows', key: (row) => row.id, limit: 300, fresh: true, empty: 'No row yet.' });
  view.rows = [];
  const isNumber = (i) => /^(BIGINT|INTEGER|DOUBLE|DECIMAL)/.test(header.columnTypes[i]);
  const chart = h('div');
  const draw = eachFrame(() => {
    if (isPaused) return;
    view.rows = all;
    if (column < 0) return;
    const drawn = chart.firstChild;
    if (isNumber(column)) drawn.draw([...all].reverse().map((row) => [row.at, Number(row.values[column])]).filter(([, y]) => Number.isFinite(y)));
    else drawn.draw([...all.reduce((counts, row) => counts.set(String(row.values[column]), (counts.get(String(row.values[column])) ?? 0) + 1), new Map())].sort((a, b) => b[1] - a[1]));
  });
  const pause = h('button', { type: 'button', 'aria-pressed': 'false', text: 'Pause', onclick: () => { isPaused = !isPaused; pause.setAttribute('aria-pressed', String(isPaused)); draw(); } });
  const choose = h('select', { 'aria-label': 'Chart', onchange: ({ target }) => {
    column = Number(target.value);
    fill(chart, column < 0 ? null : isNumber(column) ? line(`${header.columnNames[column]} over time`) : bars(`Rows for each ${header.columnNames[column]}`));
    draw();
  } }, h('option', { value: -1, text: 'no chart' }), header.columnNames.map((name, i) => h('option', { value: i, text: isNumber(i) ? `${name} over time` : `rows for each ${name}` })));
  const element = h('div', {}, h('div', { class: 'row' }, pause, choose), chart, view);
  return { element, add: (rows) => { for (const values of rows) all.unshift({ id: serial += 1, at: Date.now(), values }); all = all.slice(0, KEPT); draw(); } };
}

function queries(asked) {
  const element = h('div');
  const act = (verb, query) => async () => {
    if (verb === 'TERMINATE' && !(await confirm(`Terminate ${query.id}?`, 'The query ends and its position is lost; its stream and topic stay.', 'Terminate'))) return;
    await post('api/ksql', { ksql: `${verb} ${query.id};` }).catch((error) => dialog('ksqlDB refused', h('p', { class: 'error', text: error.message })));
  };
  const open = async (query) => {
    const place = h('div', { class: 'pipe' });
    const explain = async () => {
      const { results: [{ queryDescription }] } = await post('api/ksql', { ksql: `EXPLAIN ${query.id};` });
      fill(place, plan(queryDescription.topology ?? '', `The plan of ${query.id}`));
    };
    // A push query that began on another connection may be gone by now; its statement is here.
    explain().catch((error) => fill(place, h('p', { class: 'soft', text: `No plan: ${error.message}` })));
    await dialog(query.id, h('div', { class: 'side' }, h('pre', { class: 'block', text: query.sql }), place, h('p', {}, h('b', { text: 'Sources ' }), (query.sources ?? []).join(', ') || '–', h('b', { text: '  Sinks ' }), (query.sinks ?? []).join(', ') || '–'), query.errors?.length ? h('div', { class: 'error' }, json(query.errors)) : null));
  };
  const list = table([
    { name: 'Query', cell: (query) => h('button', { type: 'button', class: 'quiet mono', text: query.id, onclick: () => open(query) }), sort: (query) => query.id },
    { name: 'State', cell: (query) => h('span', { class: `dot ${query.state === 'RUNNING' ? 'good' : 'bad'}`, text: (query.state ?? 'running').toLowerCase() }) },
    { name: 'Position', cell: (query) => (query.type === 'PERSISTENT' ? h('span', { class: query.lag?.records > 1000 ? 'warn' : 'soft', text: lag(query.lag) }) : h('span', { class: 'tag flow', text: 'push' })) },
    { name: '', cell: (query) => (query.type !== 'PERSISTENT' ? '' : h('span', { class: 'row' }, query.state === 'PAUSED' ? h('button', { type: 'button', text: 'Resume', onclick: act('RESUME', query) }) : h('button', { type: 'button', text: 'Pause', onclick: act('PAUSE', query) }), h('button', { type: 'button', class: 'danger', text: 'Terminate…', onclick: act('TERMINATE', query) }))) },
  ], { label: 'Queries', key: (query) => query.id, empty: 'No query runs.' });
  list.rows = [];
  fill(element, h('section', { class: 'panel tight', 'aria-label': 'Running queries' }, list));
  let opened = false;
  const stop = watch({ kind: 'overview' }, { overview: (body) => {
    list.rows = body.queries;
    const query = !opened && body.queries.find((one) => one.id === asked);
    if (query) { opened = true; open(query); }
  } });
  return { element, stop };
}

async function catalog(element, edit) {
  const { sources, types, functions } = await get('api/ksql/catalog');
  edit.names = [
    ...sources.map((source) => ({ word: source.name, about: source.type.toLowerCase() })),
    ...sources.flatMap((source) => (source.fields ?? []).map((one) => ({ word: one.name, about: source.name }))),
    ...functions.map((one) => ({ word: one.name, about: 'function' })),
  ];
  const typeOf = (schema) => (schema.type === 'MAP' ? `MAP<STRING, ${typeOf(schema.memberSchema)}>` : schema.type === 'ARRAY' ? `ARRAY<${typeOf(schema.memberSchema)}>` : schema.type === 'STRUCT' ? `STRUCT<${(schema.fields ?? []).map((one) => `${one.name} ${typeOf(one.schema)}`).join(', ')}>` : schema.type);
  const explain = (name) => async () => {
    const { results: [found] } = await post('api/ksql', { ksql: `DESCRIBE FUNCTION ${name};` });
    await dialog(name, h('div', { class: 'side' }, h('p', { text: found.description }), (found.functions ?? []).map((one) => h('pre', { class: 'block', text: `${name}(${(one.arguments ?? []).map((argument) => `${argument.name} ${argument.type}`).join(', ')}) → ${one.returnType}\n${one.description ?? ''}` }))));
  };
  const add = async () => {
    const { topics } = await get('api/topics');
    const names = topics.map((topic) => topic.name).filter((name) => !name.startsWith('_'));
    if ((await addStreamOver(names)) === 'done') await catalog(element, edit);
  };
  const failed = (error) => dialog('That did not work', h('p', { class: 'error', text: error.message }));
  fill(element, h('section', { class: 'panel' }, h('div', { class: 'row' }, h('h2', { text: 'Streams and tables' }), h('span', { class: 'grow' }), h('button', { type: 'button', text: 'Add a stream…', onclick: () => add().catch(failed) })), sources.map((source) => h('details', {}, h('summary', {}, h('b', { text: source.name }), ' ', h('span', { class: 'soft small', text: `${source.type.toLowerCase()} over ${source.topic}, ${source.valueFormat}` })),
    (source.fields ?? []).map((one) => h('div', { class: 'mono', text: `  ${one.name} ${typeOf(one.schema)}${one.type === 'KEY' ? ' KEY' : ''}` }))))),
  Object.keys(types ?? {}).length ? h('section', { class: 'panel' }, h('h2', { text: 'Types' }), json(types)) : null,
  h('section', { class: 'panel' }, h('details', {}, h('summary', {}, h('b', { text: `${count(functions.length)} functions` })), h('div', { class: 'row' }, functions.map((one) => h('button', { type: 'button', class: 'quiet mono', text: one.name, onclick: explain(one.name) }))))));
}

export function show(root, { query }) {
  const edit = editor();
  const problem = h('p', { class: 'error', role: 'alert', hidden: true });
  const place = h('div');
  const note = h('span', { class: 'soft', role: 'status' });
  const reset = h('select', { 'aria-label': 'Queries begin' }, h('option', { value: 'latest', text: 'with new records' }), h('option', { value: 'earliest', text: 'with the oldest records' }));
  let stop = null;
  const end = () => { stop?.(); stop = null; halt.hidden = true; };
  const fail = (error) => {
    problem.textContent = error.message;
    problem.hidden = false;
    const at = /[Ll]ine:?\s*(\d+)(?:,\s*Col:\s*|:)(\d+)/.exec(error.message);
    if (at) edit.mark(Number(at[1]), Math.max(1, Number(at[2])));
  };
  const run = async () => {
    end();
    problem.hidden = true;
    const sql = edit.value.trim();
    if (!sql) return;
    remember(sql);
    const { found, rest } = properties(sql, reset.value);
    note.textContent = 'asking…';
    if (!isQuery(rest)) {
      try {
        const body = await post('api/ksql', { ksql: rest, properties: found });
        fill(place, body.results.map((result) => h('div', { class: 'panel' }, answer(result))));
        note.textContent = 'done';
        catalog(side, edit).catch(() => {});
      } catch (error) { note.textContent = ''; fail(error); }
      return;
    }
    let [view, total, left] = [null, 0, 0];
    halt.hidden = false;
    stop = watch({ kind: 'query', sql: rest, properties: found }, {
      header: (header) => { view = results(header); fill(place, h('div', { class: 'panel' }, view.element)); note.textContent = 'running, no row yet'; },
      rows: (body) => { total += body.rows.length + body.left_out; left += body.left_out; view?.add(body.rows); note.textContent = `${count(total)} rows${left ? `, ${count(left)} of them came too fast to be shown` : ''}`; },
      message: (body) => { if (body.message) fail(body); else place.append(h('p', { class: 'soft', text: body.finalMessage ?? JSON.stringify(body) })); },
      end: ({ error }) => { end(); if (error) fail(error); note.textContent += ' · ended'; },
    });
  };
  const halt = h('button', { type: 'button', text: 'Stop', hidden: true, onclick: end });
  const load = (name) => async () => { edit.value = (await (await fetch(`snippets/${name}.sql`)).text()).trim(); edit.focus(); };
  const snippets = h('select', { 'aria-label': 'Snippets and history', onchange: ({ target }) => { const [kind, at] = target.value.split(':'); if (kind === 's') load(at)(); else if (kind === 'h') edit.value = remembered()[Number(at)]; target.value = ''; } },
    h('option', { value: '', text: 'Snippets, history…' }), h('optgroup', { label: 'The demo' }, SNIPPETS.map(([text, name]) => h('option', { value: `s:${name}`, text }))),
    h('optgroup', { label: 'Before' }, remembered().map((sql, i) => h('option', { value: `h:${i}`, text: sql.replace(/\s+/g, ' ').slice(0, 70) }))));
  const side = h('div', { class: 'side' });
  const running = queries(query.get('query'));
  edit.addEventListener('run', run);
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'ksqlDB' }), note), h('div', { class: 'split' }, h('div', { class: 'side' },
    h('div', { class: 'panel side' }, edit, h('div', { class: 'row' }, h('button', { type: 'button', class: 'main', text: 'Run', title: 'Ctrl+Enter', onclick: run }), halt, 'queries begin', reset, h('span', { class: 'grow' }), snippets), problem), place, running.element), side));
  edit.value = query.get('sql') ?? '';
  catalog(side, edit).catch((error) => fill(side, h('p', { class: 'error', text: error.message })));
  return () => { end(); running.stop(); };
}
