// What the page knows of the world: questions, changes, and one stream of everything that is watched.

const token = document.querySelector('meta[name=token]').content;

/** A refusal, with the server's words. */
export class Refused extends Error {
  constructor(body, status) {
    super(body.message ?? `the console answered ${status}`);
    this.details = body.details;
    this.status = status;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused({ message: 'The console does not answer.' }, 0);
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(body, response.status);
  return body;
}

export const get = (path) => ask(path, { headers: { accept: 'application/json' } });

export const post = (path, body) => ask(path, {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-osqdemo-token': token },
  body: JSON.stringify(body ?? {}),
});

/** A path with its steps escaped: path`api/topics/${name}`. */
export const path = (parts, ...steps) => parts.reduce((text, part, i) => text + encodeURIComponent(steps[i - 1]) + part);

let stream = null;
let page = null;
let next = 1;
const watches = new Map();
const listeners = new Set();

/** Tells whether the console answers, now and whenever that changes. */
export function onConnection(listener) { listeners.add(listener); }

function connect() {
  stream = new EventSource('api/live');
  stream.onmessage = ({ data }) => {
    const { id, type, body } = JSON.parse(data);
    if (type === 'page') {
      page = body.page;
      listeners.forEach((listener) => listener(true));
      // The console may have been restarted: what was watched is asked for anew.
      watches.forEach((watch, known) => { watch.restarted?.(); begin(known, watch); });
      return;
    }
    const watch = watches.get(id);
    if (!watch) return;
    if (type === 'end') watches.delete(id);
    watch[type]?.(body);
  };
  stream.onerror = () => {
    page = null;
    listeners.forEach((listener) => listener(false));
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 1000);
  };
}

function begin(id, watch) {
  const open = page;
  post(`api/live/${open}/watch`, { id, ...watch.wanted }).catch((error) => {
    if (page !== open || !watches.delete(id)) return;
    watch.end?.({ error });
  });
}

/**
 * Watches something. `wanted` has a `kind`; `handlers` are called by the type of event, `end` at the end with its error,
 * `restarted` when everything comes anew. Returns what ends it.
 */
export function watch(wanted, handlers) {
  const id = next++;
  watches.set(id, { wanted, ...handlers });
  if (!stream) connect();
  else if (page !== null) begin(id, watches.get(id));
  return () => {
    if (watches.delete(id) && page !== null) post(`api/live/${page}/unwatch`, { id }).catch(() => {});
  };
}
