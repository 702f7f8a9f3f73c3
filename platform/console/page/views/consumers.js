// Consumer groups: who reads, how far they are, whether they fall behind.

import { h, fill } from '../parts/dom.js';
import { compact, count } from '../parts/format.js';
import { get } from '../parts/server.js';
import { table } from '../parts/table.js';

export const title = 'Consumers';

const PERIOD = 3000;

/** How a lag changes, from what was seen. */
function trend(history) {
  if (history.length < 2) return '';
  const change = history.at(-1) - history[0];
  if (Math.abs(change) < 2) return 'steady';
  return change > 0 ? `growing by ${compact(change)}` : `shrinking by ${compact(-change)}`;
}

export function show(root) {
  const problem = h('p', { class: 'error', role: 'alert', hidden: true });
  const list = h('div');
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Consumers' })), problem, list);
  const before = new Map();
  const open = new Set();
  let timer = null;
  let ended = false;
  const draw = (groups) => fill(list, groups.length ? groups.map(({ group, positions, error }) => {
    const lag = positions.reduce((sum, one) => sum + one.lag, 0);
    const history = [...(before.get(group.name) ?? []), lag].slice(-20);
    before.set(group.name, history);
    const parts = table([
      { name: 'Topic', cell: (one) => h('a', { href: `#/topic/${encodeURIComponent(one.topic)}`, text: one.topic }) },
      { name: 'Partition', class: 'num', cell: (one) => one.partition },
      { name: 'Position', class: 'num', cell: (one) => count(one.offset) },
      { name: 'End', class: 'num', cell: (one) => count(one.end) },
      { name: 'Lag', class: 'num', cell: (one) => count(one.lag) },
    ], { label: `Positions of ${group.name}`, key: (one) => `${one.topic}/${one.partition}/${one.offset}/${one.end}`, empty: 'No position is committed.' });
    parts.rows = positions;
    return h('details', { class: 'panel', open: open.has(group.name), ontoggle: ({ target }) => (target.open ? open.add(group.name) : open.delete(group.name)) },
      h('summary', {}, h('b', { text: group.name }), ' ', h('span', { class: `tag ${group.state === 'Stable' ? 'good' : ''}`, text: group.state || 'unknown' }), ' ',
        h('span', { text: `${group.members.length} members` }), ' · ', h('span', { class: lag > 1000 ? 'warn' : 'soft', text: `lag ${count(lag)} ${trend(history)}` })),
      error && h('p', { class: 'error', text: error }), parts,
      group.members.map((member) => h('p', { class: 'small' }, h('b', { text: member.client || member.id }), ` at ${member.host} reads ${member.partitions.map(([topic, partition]) => `${topic}/${partition}`).join(', ') || 'nothing'}`)));
  }) : h('p', { class: 'empty', text: 'No group.' }));
  const ask = async () => {
    try {
      const { groups } = await get('api/groups');
      if (ended) return;
      problem.hidden = true;
      draw(groups);
    } catch (error) { problem.textContent = error.message; problem.hidden = false; }
    if (!ended) timer = setTimeout(ask, PERIOD);
  };
  ask();
  return () => { ended = true; clearTimeout(timer); };
}
