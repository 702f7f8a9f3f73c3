// The pipeline as a picture: nodes in columns, by how far they are from the hosts; edges with their rate.

import { h } from './dom.js';
import { rate } from './format.js';

const NODE_HEIGHT = 40, GAP = 10, TOP = 34;

/**
 * `nodes`: {id, kind, title, sub, href, state?, about}. `edges`: {from, to, rate}. `columns`: their names, left to right.
 * Every node has a `column`; `about` says what the whole is, `width` how wide it is drawn.
 */
export function graph(nodes, edges, { columns, about, width: whole = 1240 }) {
  const byColumn = columns.map((_, column) => nodes.filter((node) => node.column === column));
  const used = byColumn.map((list, column) => ({ list, name: columns[column] })).filter(({ list }) => list.length);
  const step = whole / Math.max(used.length, 1);
  const width = Math.min(step - 38, 220);
  const tallest = Math.max(...used.map(({ list }) => list.length), 1);
  const height = TOP + tallest * (NODE_HEIGHT + GAP) + GAP;
  const place = new Map();
  used.forEach(({ list }, column) => {
    // A node stands where the middle of those that lead to it is.
    const wish = (node) => {
      const from = edges.filter((edge) => edge.to === node.id).map((edge) => place.get(edge.from)?.y).filter((y) => y !== undefined);
      return from.length ? from.reduce((a, b) => a + b) / from.length : list.indexOf(node) * (NODE_HEIGHT + GAP);
    };
    const wishes = new Map(list.map((node) => [node.id, wish(node)]));
    list.sort((a, b) => wishes.get(a.id) - wishes.get(b.id));
    const room = height - TOP - list.length * (NODE_HEIGHT + GAP);
    const start = column === 0 || list.length === tallest ? room / 2 : 0;
    let y = TOP + start;
    list.forEach((node, i) => {
      const left = list.length - i;
      const latest = height - left * (NODE_HEIGHT + GAP);
      if (start === 0 && wishes.get(node.id) !== undefined && column > 0) y = Math.max(y, Math.min(wishes.get(node.id), latest));
      place.set(node.id, { x: column * step + (step - width) / 2, y });
      y += NODE_HEIGHT + GAP;
    });
  });
  const lines = edges.map((edge) => {
    const [a, b] = [place.get(edge.from), place.get(edge.to)];
    if (!a || !b) return null;
    const [x1, y1, x2, y2] = [a.x + width, a.y + NODE_HEIGHT / 2, b.x, b.y + NODE_HEIGHT / 2];
    const bend = Math.max((x2 - x1) / 2, 20);
    return h('path', {
      class: edge.rate > 0 ? 'alive' : null,
      'stroke-width': Math.min(1.2 + Math.log10(1 + (edge.rate ?? 0)), 5),
      d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
    }, h('title', { text: `${edge.from.replace(/^\w+:/, '')} → ${edge.to.replace(/^\w+:/, '')}${edge.rate === undefined ? '' : `: ${rate(edge.rate)}`}` }));
  });
  const boxes = [...place].map(([id, at]) => {
    const node = nodes.find((node) => node.id === id);
    const box = h('g', { class: `node ${node.kind} ${node.state ?? ''}`, transform: `translate(${at.x} ${at.y})` },
      h('title', { text: node.about ?? node.title }),
      h('rect', { width, height: NODE_HEIGHT, rx: 6 }),
      h('text', { x: 10, y: 17, text: cut(node.title, (width - 16) / (node.title === node.title.toUpperCase() ? 8.4 : 7.4)) }),
      h('text', { x: 10, y: 32, class: 'sub', text: cut(node.sub ?? '', (width - 16) / 6) }));
    return node.href ? h2a(node.href, `${node.kind} ${node.title}, ${node.sub ?? ''}`, box) : box;
  });
  const names = used.map(({ name }, column) => h('text', { class: 'col', x: column * step + (step - width) / 2, y: 18, text: name }));
  return h('svg', { width: whole, height, viewBox: `0 0 ${whole} ${height}`, role: 'group', 'aria-label': about }, names, lines, boxes);
}

const cut = (text, length) => (text.length > length ? `${text.slice(0, Math.floor(length) - 1)}…` : text);

function h2a(href, label, child) {
  const link = document.createElementNS('http://www.w3.org/2000/svg', 'a');
  link.setAttribute('href', href);
  link.setAttribute('aria-label', label);
  link.append(child);
  return link;
}
