// The cluster's topics.

import { h, fill } from '../parts/dom.js';
import { compact, rate } from '../parts/format.js';
import { post, watch } from '../parts/server.js';
import { table } from '../parts/table.js';
import { field, form } from '../parts/dialog.js';

export const title = 'Topics';

function create() {
  const name = h('input', { required: true });
  const partitions = h('input', { type: 'number', min: 1, value: 1 });
  return form('New topic', h('div', { class: 'side' }, field('Name', name), field('Partitions', partitions)), 'Create', () => post('api/topics', { name: name.value, partitions: Number(partitions.value) }));
}

export function show(root) {
  const internal = h('input', { type: 'checkbox' });
  const search = h('input', { type: 'search', placeholder: 'Find a topic', 'aria-label': 'Find a topic' });
  const list = table([
    { name: 'Topic', cell: (topic) => h('a', { href: `#/topic/${encodeURIComponent(topic.name)}`, text: topic.name }), sort: (topic) => topic.name },
    { name: 'Records', class: 'num', cell: (topic) => compact(topic.records), sort: (topic) => topic.records },
    { name: 'Rate', class: 'num', cell: (topic) => h('span', { class: topic.rate > 0 ? 'good' : 'soft', text: rate(topic.rate) }), sort: (topic) => topic.rate },
    { name: 'Partitions', class: 'num', cell: (topic) => topic.partitions, sort: (topic) => topic.partitions },
    { name: 'Replicas', class: 'num', cell: (topic) => topic.replicas, sort: (topic) => topic.replicas },
    { name: 'Read as', cell: (topic) => topic.sources.map((source) => [h('span', { class: 'tag flow', text: `${source.type.toLowerCase()} ${source.name}` }), ' ']) },
  ], { label: 'Topics', key: (topic) => topic.name, empty: 'No topic.' });
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Topics' }), h('span', { class: 'grow' }), search,
    h('label', { class: 'row' }, internal, 'internal ones too'), h('button', { type: 'button', text: 'New topic…', onclick: create })), h('div', { class: 'panel tight' }, list));
  let latest = null;
  const draw = () => {
    if (!latest) return;
    list.rows = latest.topics
      .filter((topic) => (internal.checked || !topic.is_internal) && topic.name.toLowerCase().includes(search.value.toLowerCase()))
      .map((topic) => ({ ...topic, sources: latest.sources.filter((source) => source.topic === topic.name) }));
  };
  internal.addEventListener('change', draw);
  search.addEventListener('input', draw);
  return watch({ kind: 'overview' }, { overview: (body) => { latest = body; draw(); } });
}
