// A query's plan as a picture. ksqlDB tells it as Kafka Streams' text of a topology; here it becomes boxes, from the topics
// that are read to those that are written.

import { graph } from './graph.js';

const NODE = /^\s*(Source|Processor|Sink):\s+(\S+)(?:\s+\((?:topics?|stores):\s*\[?([^\])]*)\]?\))?/;
const NEXT = /^\s*-->\s+(.*)$/;

/** The text as nodes: {name, kind, of: topics or stores, next, before}. */
export function parse(text) {
  const nodes = new Map();
  let last = null;
  for (const row of text.split('\n')) {
    const [, kind, name, of] = NODE.exec(row) ?? [];
    if (kind) {
      last = { name, kind, of: (of ?? '').split(',').map((one) => one.trim()).filter(Boolean), next: [], before: [] };
      nodes.set(name, last);
    } else if (last && NEXT.test(row)) {
      last.next = NEXT.exec(row)[1].split(',').map((one) => one.trim()).filter((one) => one !== 'none');
    }
  }
  // What goes through a topic of the query's own comes out of it again.
  const sources = [...nodes.values()].filter(({ kind }) => kind === 'Source');
  for (const sink of nodes.values()) if (sink.kind === 'Sink') sink.next = sources.filter(({ of }) => of.some((topic) => sink.of.includes(topic))).map(({ name }) => name);
  for (const node of nodes.values()) {
    node.next = node.next.filter((name) => nodes.has(name));
    for (const name of node.next) nodes.get(name).before.push(node.name);
  }
  return nodes;
}

/** `KSTREAM-TRANSFORMVALUES-0000000001` says little; `Where` says what it does. */
const isNamed = (name) => !/^(KSTREAM|KTABLE)-/.test(name);
const spoken = (name) => (isNamed(name) ? name.replaceAll('-', ' ') : name.replace(/^\w+-(.*?)-?\d*$/, '$1').toLowerCase());

/** Steps that follow each other and keep nothing are one box. */
function boxes(nodes) {
  const box = new Map();
  for (const node of nodes.values()) {
    const [only] = node.before;
    const before = node.before.length === 1 && nodes.get(only);
    const goesOn = before && node.kind === 'Processor' && before.kind === 'Processor' && before.next.length === 1 && !node.of.length && !before.of.length;
    if (goesOn && box.has(only)) box.get(only).steps.push(node);
    box.set(node.name, goesOn && box.has(only) ? box.get(only) : { id: node.name, steps: [node] });
  }
  return box;
}

/** The picture, or nothing for a text that holds no topology. */
export function plan(text, about) {
  const nodes = parse(text);
  if (!nodes.size) return null;
  const box = boxes(nodes);
  const unique = [...new Set(box.values())];
  const edges = unique.flatMap(({ id, steps }) => steps.at(-1).next.map((name) => ({ from: id, to: box.get(name).id })));
  // A box stands right of all that lead to it; a circle ends where it began.
  const column = new Map();
  const place = (id, path) => {
    if (column.has(id)) return column.get(id);
    if (path.includes(id)) return 0;
    const found = Math.max(-1, ...edges.filter(({ to }) => to === id).map(({ from }) => place(from, [...path, id]))) + 1;
    column.set(id, found);
    return found;
  };
  const drawn = unique.map(({ id, steps }) => {
    const [first] = steps;
    const named = steps.map(({ name }) => name).filter(isNamed);
    const title = first.kind === 'Processor' ? (named.length ? named : [first.name]).map(spoken).join(', ') : first.of.join(', ') || first.name;
    return {
      id, kind: first.kind === 'Processor' ? 'query' : 'topic', column: place(id, []), title,
      sub: { Source: 'read', Sink: 'written' }[first.kind] ?? (first.of.length ? 'keeps state' : ''),
      about: steps.map(({ name, of }) => [name, ...of].join(', ')).join('\n'),
    };
  });
  const columns = Array.from({ length: Math.max(...column.values()) + 1 }, () => '');
  return graph(drawn, edges, { columns, about, width: columns.length * 216 });
}
