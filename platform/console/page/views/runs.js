// The scenario's runs: the verdict, the timeline from the write to the row, and how fast the last ones were.

import { h, fill, eachFrame } from '../parts/dom.js';
import { dateTime, duration } from '../parts/format.js';
import { watch } from '../parts/server.js';
import { parse } from '../parts/record.js';
import { table } from '../parts/table.js';

export const title = 'Runs';

const TOPIC = 'osqdemo-runs';

/** The runs that these records tell of, newest first: events as they happened, and the report at the end of each. */
export function runs(records) {
  const all = new Map();
  for (const { run: id, at, body } of [...records].sort((a, b) => a.at - b.at)) {
    const run = all.get(id) ?? { id, stages: [], verdict: 'running', started: at };
    all.set(id, run);
    const stage = (name, time, count) => ({ name: name.replaceAll('_', ' '), at: Date.parse(time), count });
    if (body.event === 'step_finished' && body.step?.kind === 'stage' && body.outcome === 'done') {
      run.stages.push(stage(body.step.name, body.time, body.count));
    } else if (body.scenario) {
      const seen = body.stages.filter((one) => one.at);
      Object.assign(run, { ...body, id, ended: at, stages: seen.map((one) => stage(one.name, one.at, one.count)) });
      run.started = run.stages[0]?.at ?? run.started;
    }
  }
  return [...all.values()].sort((a, b) => b.started - a.started);
}

/** The stages in their order, evenly: what passed between two of them stands on the line. */
function timeline(run) {
  const stages = run.stages;
  const first = stages[0]?.at ?? run.started;
  const x = (i) => 70 + (820 * i) / Math.max(stages.length - 1, 1);
  const marks = stages.map((stage, i) => h('g', { class: /row/.test(stage.name) ? 'good' : '' },
    i > 0 && h('text', { class: 'sub', x: (x(i - 1) + x(i)) / 2, y: 28, 'text-anchor': 'middle', text: `+${duration(Math.max(0, stage.at - stages[i - 1].at))}` }),
    h('circle', { cx: x(i), cy: 40, r: 6 }),
    h('text', { x: x(i), y: 64, 'text-anchor': 'middle', text: stage.name }),
    h('text', { class: 'sub', x: x(i), y: 80, 'text-anchor': 'middle', text: `${duration(stage.at - first)}${stage.count ? ` · ${stage.count}` : ''}` })));
  return h('svg', { class: 'timeline', viewBox: '0 0 960 96', role: 'img', 'aria-label': `Timeline: ${stages.map((stage) => `${stage.name} after ${duration(stage.at - first)}`).join(', ')}` }, h('line', { x1: 70, y1: 40, x2: 890, y2: 40 }), marks);
}

export function show(root) {
  const place = h('div', {}, h('p', { class: 'empty', text: 'Looking for runs…' }));
  const opened = h('div');
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Runs' }), h('span', { class: 'soft', text: 'of osqdemo scenario' })), opened, place);
  let [events, chosen] = [[], null];
  const verdict = (run) => h('span', { class: `tag ${run.verdict === 'passed' ? 'good' : run.verdict === 'running' ? 'flow' : 'bad'}`, text: run.verdict.replace('_', ' ') });
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
    if (!place.contains(list)) fill(place, h('div', { class: 'panel tight' }, list));
    list.rows = all;
    const run = all.find((one) => one.id === chosen) ?? all[0];
    fill(opened, h('section', { class: 'panel', 'aria-label': 'Run' }, h('div', { class: 'row' }, h('h2', { text: `${run.scenario ?? 'run'}, ${dateTime(run.started)}` }), verdict(run)),
      h('p', { class: 'soft mono', text: `${run.host ?? ''} ${run.file ?? ''}` }), run.error && h('p', { class: 'error', text: run.error }), timeline(run)));
  });
  return watch({ kind: 'records', topic: TOPIC, from: 'newest', follow: true, limit: 1000 }, {
    restarted: () => { events = []; },
    records: (batch) => { events.push(...batch.records.map((record) => ({ run: record.key?.text, at: record.timestamp, body: parse(record.value?.text) })).filter(({ run, body }) => run && body)); draw(); },
    progress: draw,
    end: ({ error }) => { if (error) fill(place, h('p', { class: 'empty', text: error.status === 404 || /no topic/.test(error.message) ? 'No run yet: osqdemo scenario bigfile makes one.' : error.message })); },
  });
}
