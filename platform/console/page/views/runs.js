// The scenario's runs: the verdict, the timeline from the write to the row, and how fast the last ones were.

import { h, fill, eachFrame } from '../parts/dom.js';
import { dateTime, duration } from '../parts/format.js';
import { watch } from '../parts/server.js';
import { parse } from '../parts/record.js';
import { table } from '../parts/table.js';

export const title = 'Runs';

const TOPIC = 'osqdemo-runs';

/** The runs that these events tell of, newest first. An event: {run, event, at, …}. */
export function runs(events) {
  const all = new Map();
  for (const event of [...events].sort((a, b) => a.at - b.at)) {
    const run = all.get(event.run) ?? { id: event.run, stages: [], rows: [], verdict: 'running', started: event.at };
    all.set(event.run, run);
    if (event.event === 'started') Object.assign(run, { scenario: event.scenario, host: event.host, file: event.file, started: event.at });
    else if (event.event === 'stage') run.stages.push(event);
    else if (event.event === 'row') run.rows.push(event);
    else if (event.event === 'ended') Object.assign(run, { verdict: event.verdict, error: event.error, ended: event.at });
  }
  return [...all.values()].sort((a, b) => b.started - a.started);
}

function timeline(run) {
  const first = run.stages[0]?.at ?? run.started;
  const last = Math.max(...run.stages.map((stage) => stage.at), first + 1);
  // Milliseconds and seconds stand on one line: the distance is the root of the time.
  const x = (at) => 60 + 840 * Math.sqrt((at - first) / (last - first));
  let right = -Infinity;
  let row = 0;
  const marks = run.stages.map((stage) => {
    const at = x(stage.at);
    row = at - right < 120 ? (row + 1) % 4 : 0;
    right = row ? right : at;
    return h('g', { class: /row/.test(stage.name) ? 'good' : '' }, h('circle', { cx: at, cy: 40, r: 6 }),
      h('text', { x: at, y: 64 + row * 30, 'text-anchor': at > 800 ? 'end' : 'start', text: stage.name }),
      h('text', { class: 'sub', x: at, y: 77 + row * 30, 'text-anchor': at > 800 ? 'end' : 'start', text: `+${duration(stage.at - first)}${stage.count ? ` · ${stage.count}` : ''}` }));
  });
  return h('svg', { class: 'timeline', viewBox: '0 0 960 180', role: 'img', 'aria-label': `Timeline: ${run.stages.map((stage) => `${stage.name} after ${duration(stage.at - first)}`).join(', ')}` }, h('line', { x1: 60, y1: 40, x2: 900, y2: 40 }), marks);
}

export function show(root) {
  const place = h('div', {}, h('p', { class: 'empty', text: 'Looking for runs…' }));
  const opened = h('div');
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Runs' }), h('span', { class: 'soft', text: 'of osqdemo scenario' })), opened, place);
  let [events, chosen] = [[], null];
  const verdict = (run) => h('span', { class: `tag ${run.verdict === 'passed' ? 'good' : run.verdict === 'running' ? 'flow' : 'bad'}`, text: run.verdict });
  const latency = (run) => { const [write, row] = ['osquery line', 'precise row'].map((name) => run.stages.find((stage) => stage.name === name)); return write && row ? row.at - write.at : null; };
  const list = table([
    { name: 'Started', class: 'nowrap', cell: (run) => h('button', { type: 'button', class: 'quiet', text: dateTime(run.started), onclick: () => { chosen = run.id; draw(); } }), sort: (run) => run.started },
    { name: 'Scenario', cell: (run) => run.scenario ?? '' },
    { name: 'Verdict', cell: verdict },
    { name: 'Line to row', class: 'num', cell: (run) => duration(latency(run)), sort: latency },
    { name: 'Took', class: 'num', cell: (run) => (run.ended ? duration(run.ended - run.started) : '…') },
  ], { label: 'Runs', key: (run) => `${run.id} ${run.verdict} ${run.stages.length}` });
  const draw = eachFrame(() => {
    const all = runs(events);
    if (!all.length) { fill(place, h('p', { class: 'empty', text: 'No run yet: osqdemo scenario bigfile makes one.' })); return; }
    fill(place, h('div', { class: 'panel tight' }, list));
    list.rows = all;
    const run = all.find((one) => one.id === chosen) ?? all[0];
    fill(opened, h('section', { class: 'panel', 'aria-label': 'Run' }, h('div', { class: 'row' }, h('h2', { text: `${run.scenario ?? 'run'}, ${dateTime(run.started)}` }), verdict(run)),
      h('p', { class: 'soft mono', text: `${run.host ?? ''} ${run.file ?? ''}` }), run.error && h('p', { class: 'error', text: run.error }), timeline(run)));
  });
  return watch({ kind: 'records', topic: TOPIC, from: 'newest', follow: true, limit: 1000 }, {
    restarted: () => { events = []; },
    records: (batch) => { events.push(...batch.records.map((record) => parse(record.value?.text)).filter((event) => event?.run && event.at)); draw(); },
    progress: draw,
    end: ({ error }) => { if (error) fill(place, h('p', { class: 'empty', text: error.status === 404 || /no topic/.test(error.message) ? 'No run yet: osqdemo scenario bigfile makes one.' : error.message })); },
  });
}
