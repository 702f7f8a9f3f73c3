// <data-table>: columns, rows, a limit; sorted where it is asked for. Rows keep their elements while they stay.

import { h, fill } from './dom.js';

/** Up to how many rows that come at once are lit up: more nobody can follow, and each costs a part of every frame. */
const LIT = 10;

class DataTable extends HTMLElement {
  #columns = [];
  #rows = [];
  #elements = new Map();
  #sort = null;
  #body = h('tbody');
  #head = h('tr');
  #options = {};

  /**
   * `columns`: {name, cell(row) → node or text, sort?(row), class?}.
   * `options`: label, key(row), open?(row), limit, fresh; `still` rows never change, and their columns are as wide as the
   * style says.
   */
  setup(columns, options) {
    this.#columns = columns;
    this.#options = { limit: 500, ...options };
    fill(this, h('table', { 'aria-label': options.label }, h('thead', {}, this.#head), this.#body));
    this.classList.toggle('still', Boolean(options.still));
    this.tabIndex = 0;
    this.setAttribute('role', 'region');
    this.setAttribute('aria-label', options.label);
    this.#drawHead();
    return this;
  }

  #drawHead() {
    fill(this.#head, this.#columns.map((column) => {
      if (!column.sort) return h('th', { scope: 'col', class: column.class }, h('span', { text: column.name }));
      const sorted = this.#sort?.column === column;
      const order = sorted ? (this.#sort.down ? 'descending' : 'ascending') : 'none';
      return h('th', { scope: 'col', class: column.class, 'aria-sort': order }, h('button', {
        type: 'button',
        text: `${column.name}${sorted ? (this.#sort.down ? ' ↓' : ' ↑') : ''}`,
        onclick: () => {
          this.#sort = { column, down: sorted ? !this.#sort.down : false };
          this.#drawHead();
          this.rows = this.#rows;
        },
      }));
    }));
  }

  get rows() { return this.#rows; }

  /** How many rows are shown at most, from the next time on that rows are set. */
  set limit(limit) { this.#options.limit = limit; }

  set rows(rows) {
    this.#rows = rows;
    let shown = rows;
    if (this.#sort) {
      const { column, down } = this.#sort;
      const sign = down ? -1 : 1;
      shown = [...rows].sort((a, b) => {
        const [x, y] = [column.sort(a), column.sort(b)];
        return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x ?? '').localeCompare(String(y ?? ''), undefined, { numeric: true }));
      });
    }
    shown = shown.slice(0, this.#options.limit);
    const before = this.#elements;
    this.#elements = new Map();
    const come = shown.filter((row) => !before.has(this.#options.key(row))).length;
    const lit = this.#options.fresh && before.size > 0 && come <= LIT;
    const wanted = shown.map((row) => {
      const key = this.#options.key(row);
      const known = before.get(key) ?? { element: this.#element(row, lit), row };
      if (known.row !== row && !this.#options.still) this.#renew(known, row);
      this.#elements.set(key, known);
      return known.element;
    });
    // Only what changed is touched: thousands of records pass here.
    let at = this.#body.firstChild;
    const keep = new Set(wanted);
    while (at) { const after = at.nextSibling; if (!keep.has(at)) at.remove(); at = after; }
    at = this.#body.firstChild;
    const focused = document.activeElement;
    for (const element of wanted) {
      if (element === at) at = at.nextSibling;
      else this.#body.insertBefore(element, at);
    }
    // A row that moves is taken out on the way.
    if (focused !== document.activeElement && this.#body.contains(focused)) focused.focus({ preventScroll: true });
    const none = this.#options.empty;
    if (!wanted.length && none) this.#body.append(h('tr', {}, h('td', { colspan: this.#columns.length, class: 'empty', text: none })));
  }

  #cells(row) {
    return this.#columns.map((column) => h('td', { class: column.class, dir: column.dir }, column.cell(row) ?? ''));
  }

  /** Brings a row up to date. What says the same stays, and with it the focus; who holds on to the row sees what is new. */
  #renew(known, row) {
    for (const name of Object.keys(known.row)) if (!(name in row)) delete known.row[name];
    Object.assign(known.row, row);
    this.#cells(known.row).forEach((cell, i) => {
      const old = known.element.children[i];
      if (cell.isEqualNode(old)) return;
      const controls = (one) => [...one.querySelectorAll('a, button, input, select')];
      const focused = controls(old).indexOf(document.activeElement);
      old.replaceWith(cell);
      controls(cell)[focused]?.focus({ preventScroll: true });
    });
  }

  #element(row, lit) {
    const open = this.#options.open;
    return h('tr', {
      class: lit ? 'fresh' : null,
      tabindex: open ? 0 : null,
      onclick: open ? (event) => { if (!event.target.closest('a,button') && !String(getSelection())) open(row); } : null,
      onkeydown: open ? (event) => { if (event.key === 'Enter' && event.target.localName === 'tr') open(row); } : null,
    }, this.#cells(row));
  }
}
customElements.define('data-table', DataTable);

export const table = (columns, options) => document.createElement('data-table').setup(columns, options);
