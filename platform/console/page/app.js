// The shell: which view the address asks for, whether the services answer, light or dark.

import { h, fill } from './parts/dom.js';
import { ago } from './parts/format.js';
import { onConnection, watch } from './parts/server.js';

const VIEWS = {
  pipeline: 'Pipeline', topics: 'Topics', ksql: 'ksqlDB', hosts: 'Hosts', consumers: 'Consumers', schemas: 'Schemas', brokers: 'Cluster', runs: 'Runs',
};
/** The first step of an address and the view behind it, where they differ. */
const DEEPER = { topic: 'topic', host: 'hosts', process: 'process' };
const PARENT = { topic: 'topics', host: 'hosts', process: 'hosts' };
const SERVICES = { kafka: 'Kafka', ksqldb: 'ksqlDB', registry: 'Registry' };

const main = document.getElementById('main');
let end = null;
let serial = 0;

async function go() {
  const [address, query] = location.hash.replace(/^#\/?/, '').split('?');
  const steps = address.split('/').map((step) => { try { return decodeURIComponent(step); } catch { return step; } });
  const first = steps[0] || 'pipeline';
  const view = DEEPER[first] ?? (VIEWS[first] ? first : null);
  const mine = serial += 1;
  end?.();
  end = null;
  document.querySelectorAll('#nav a').forEach((link) => {
    if (link.dataset.view === (PARENT[first] ?? first)) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  });
  if (!view) { fill(main, h('p', { class: 'empty' }, 'There is no such view. ', h('a', { href: '#/', text: 'The pipeline' }))); return; }
  const module = await import(`./views/${view}.js`).catch((error) => error);
  if (mine !== serial) return;
  if (module instanceof Error) {
    // A browser drops what it is loading when the network changes under it, and does not ask for it again by itself.
    fill(main, h('p', { class: 'error', role: 'alert' }, `This view could not be loaded: ${module.message} `, h('button', { type: 'button', text: 'Load the page again', onclick: () => location.reload() })));
    return;
  }
  const { show, title } = module;
  document.title = `${[title, steps[1]].filter(Boolean).join(' · ')} – osqdemo`;
  // Each view gets an element of its own, so that a late answer cannot write into the next one.
  const root = h('div', { 'data-view': view });
  fill(main, root);
  try {
    end = show(root, { name: steps[1], pid: steps[2], query: new URLSearchParams(query ?? '') });
  } catch (error) {
    fill(root, h('p', { class: 'error', text: `This view failed: ${error.message}` }));
  }
}

function theme() {
  const root = document.documentElement;
  const chosen = localStorage.getItem('osqdemo.theme');
  if (chosen) root.dataset.theme = chosen;
  document.getElementById('theme').addEventListener('click', () => {
    const isDark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = isDark ? 'light' : 'dark';
    localStorage.setItem('osqdemo.theme', root.dataset.theme);
  });
}

fill(document.getElementById('nav'), Object.entries(VIEWS).map(([view, text]) => h('a', { href: view === 'pipeline' ? '#/' : `#/${view}`, 'data-view': view, text })));
const notice = document.getElementById('notice');
let lostAt = null;
const tell = (text) => { notice.textContent = text; notice.hidden = !text; };
let away = [];
onConnection((isThere) => {
  lostAt = isThere ? null : lostAt ?? Date.now();
  tell(lostAt ? 'The console does not answer; what you see is as it was. It is tried again.' : away.join(' '));
});
watch({ kind: 'overview' }, { overview: ({ services }) => {
  const there = Object.entries(services).filter(([, service]) => service);
  fill(document.getElementById('services'), there.map(([name, service]) => h('span', { class: `dot ${service.is_up ? 'good' : 'bad'}`, title: service.error, text: service.is_up ? SERVICES[name] : `${SERVICES[name]} is away` })));
  away = there.filter(([, service]) => !service.is_up).map(([name, service]) => `${SERVICES[name]} is away since ${new Date(service.since).toLocaleTimeString()} (${ago(service.since)}).`);
  if (!lostAt) tell(away.join(' '));
} });
theme();
addEventListener('hashchange', go);
go();
