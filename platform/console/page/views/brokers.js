// The cluster: its services, its brokers and their settings.

import { h, fill } from '../parts/dom.js';
import { ago } from '../parts/format.js';
import { get, watch } from '../parts/server.js';
import { table } from '../parts/table.js';

export const title = 'Cluster';

const NAMES = { kafka: 'Kafka', ksqldb: 'ksqlDB', registry: 'Schema Registry' };

export function show(root) {
  const services = h('div', { class: 'cards' });
  const brokers = h('div');
  fill(root, h('div', { class: 'head' }, h('h1', { text: 'Cluster' })), services, brokers);
  get('api/brokers').then((body) => fill(brokers, body.brokers.map(({ broker, settings, error }) => {
    const list = table([
      { name: 'Setting', cell: (one) => h('code', { text: one.name }), sort: (one) => one.name },
      { name: 'Value', cell: (one) => h('span', { class: 'mono', text: one.is_sensitive ? 'secret' : one.value ?? '' }) },
      { name: 'Set by', cell: (one) => (one.is_own ? h('span', { class: 'tag flow', text: 'this broker' }) : h('span', { class: 'soft', text: 'default' })) },
    ], { label: `Settings of broker ${broker.id}`, key: (one) => one.name, empty: error ?? 'No setting.' });
    list.rows = settings;
    return [h('div', { class: 'head' }, h('h2', { text: `Broker ${broker.id}` }), h('code', { text: `${broker.host}:${broker.port}` })), h('div', { class: 'panel tight' }, list)];
  }))).catch((error) => fill(brokers, h('p', { class: 'error', text: error.message })));
  return watch({ kind: 'overview' }, { overview: (body) => fill(services, Object.entries(body.services).filter(([, one]) => one).map(([name, one]) => h('div', { class: 'card' }, h('h2', { text: NAMES[name] }),
    h('p', { class: `dot ${one.is_up ? 'good' : 'bad'}`, text: one.is_up ? `answers, as far as is known since ${ago(one.since)}` : `away since ${ago(one.since)}` }),
    one.error && h('p', { class: 'error', text: one.error }), name === 'ksqldb' && body.version ? h('p', { class: 'soft', text: `version ${body.version}` }) : null))) });
}
