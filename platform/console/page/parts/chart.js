// A line over time, or bars by name: drawn on a canvas, told in words for who does not see it.

import { h } from './dom.js';
import { compact } from './format.js';

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function canvas(label) {
  return h('canvas', { class: 'chart', role: 'img', 'aria-label': label });
}

function prepare(element) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = element;
  element.width = width * scale;
  element.height = height * scale;
  const pen = element.getContext('2d');
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  pen.font = '12px system-ui, sans-serif';
  return { pen, width, height };
}

/** Bars: `draw([[name, value]…])`. */
export function bars(label) {
  const element = canvas(label);
  element.draw = (values) => {
    const { pen, width, height } = prepare(element);
    const list = values.slice(0, Math.floor(height / 22));
    const most = Math.max(...list.map(([, value]) => value), 1);
    const left = Math.min(160, width / 3);
    list.forEach(([name, value], i) => {
      const y = i * 22;
      pen.fillStyle = color('--ink');
      pen.textAlign = 'right';
      pen.fillText(name.length > 22 ? `${name.slice(0, 21)}…` : name, left - 8, y + 15);
      pen.fillStyle = color('--flow');
      pen.fillRect(left, y + 3, Math.max((width - left - 60) * (value / most), 1), 15);
      pen.fillStyle = color('--soft');
      pen.textAlign = 'left';
      pen.fillText(compact(value), left + (width - left - 60) * (value / most) + 6, y + 15);
    });
    element.setAttribute('aria-label', `${label}: ${list.map(([name, value]) => `${name} ${value}`).join(', ')}`);
  };
  return element;
}

/** A line: `draw([[x, y]…])`, with x a time in milliseconds or a number. */
export function line(label) {
  const element = canvas(label);
  element.draw = (points) => {
    const { pen, width, height } = prepare(element);
    if (points.length < 2) return;
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(0, ...ys), Math.max(...ys, 1)];
    const at = ([x, y]) => [48 + ((x - x0) / (x1 - x0 || 1)) * (width - 56), height - 18 - ((y - y0) / (y1 - y0 || 1)) * (height - 30)];
    pen.strokeStyle = color('--line');
    pen.fillStyle = color('--soft');
    for (const y of [y0, (y0 + y1) / 2, y1]) {
      const [, top] = at([x0, y]);
      pen.beginPath(); pen.moveTo(48, top); pen.lineTo(width, top); pen.stroke();
      pen.fillText(compact(Math.round(y * 10) / 10), 4, top + 4);
    }
    pen.strokeStyle = color('--flow');
    pen.lineWidth = 1.5;
    pen.beginPath();
    points.forEach((point, i) => pen[i ? 'lineTo' : 'moveTo'](...at(point)));
    pen.stroke();
    element.setAttribute('aria-label', `${label}: ${points.length} points, from ${compact(y0)} to ${compact(y1)}, last ${compact(ys.at(-1))}`);
  };
  return element;
}
