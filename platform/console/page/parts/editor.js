// <sql-editor>: ksqlDB's SQL, coloured, completed, with the place of an error marked.

import { h, fill } from './dom.js';

const WORDS = `ADVANCE ALL ALTER AND ARRAY AS ASSERT BEGINNING BETWEEN BY CASE CAST CHANGES CONNECTOR CREATE CROSS DEFINE DELETE DESCRIBE DISTINCT DROP ELSE EMIT END EXISTS EXPLAIN EXTENDED FINAL FROM FULL FUNCTION FUNCTIONS GRACE GROUP HAVING HOPPING IF IN INNER INSERT INTO IS JOIN KEY LEFT LIKE LIMIT LIST MAP NOT NULL ON OR OUTER PARTITION PARTITIONS PAUSE PERIOD PRIMARY PRINT PROPERTIES QUERIES REPLACE RESUME RETENTION RIGHT SELECT SESSION SET SHOW SIZE SOURCE STREAM STREAMS STRUCT TABLE TABLES TERMINATE THEN TOPIC TOPICS TUMBLING TYPE TYPES UNDEFINE UNSET VALUES WHEN WHERE WINDOW WITH WITHIN BIGINT BOOLEAN BYTES DATE DECIMAL DOUBLE INT INTEGER STRING TIME TIMESTAMP VARCHAR DAYS HOURS MINUTE MINUTES HOUR DAY SECOND SECONDS MILLISECONDS`.split(' ');
const KNOWN = new Set(WORDS);
const TOKEN = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*'?|"[^"]*"?|`[^`]*`?)|(\d+(?:\.\d+)?)|([A-Za-z_][\w]*)|([\s\S])/g;

class SqlEditor extends HTMLElement {
  #text = h('textarea', { spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', 'aria-label': 'SQL', role: 'combobox', 'aria-expanded': 'false', 'aria-autocomplete': 'list' });
  #paint = h('pre', { 'aria-hidden': 'true' });
  #list = h('ul', { role: 'listbox', 'aria-label': 'Completions', hidden: true });
  #choice = 0;
  #wrong = null;
  /** What is completed: [{word, about}]. */
  names = [];

  connectedCallback() {
    if (this.firstChild) return;
    this.append(this.#paint, this.#text, this.#list);
    this.#text.addEventListener('input', () => { this.#wrong = null; this.#draw(); this.#complete(false); });
    this.#text.addEventListener('blur', () => setTimeout(() => this.#close(), 150));
    this.#text.addEventListener('keydown', (event) => this.#key(event));
    this.#draw();
  }

  get value() { return this.#text.value; }
  set value(text) { this.#text.value = text; this.#wrong = null; this.#draw(); this.#close(); }

  /** Marks a place, both counted from one: line, column. */
  mark(line, column) {
    const lines = this.value.split('\n');
    this.#wrong = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
    this.#draw();
  }

  focus() { this.#text.focus(); }

  #draw() {
    const text = this.value;
    const parts = [];
    for (const match of text.matchAll(TOKEN)) {
      const [all, comment, quoted, number, word] = match;
      const kind = comment ? 'c' : quoted ? 's' : number ? 'n' : word && KNOWN.has(word.toUpperCase()) ? 'w' : '';
      const wrong = this.#wrong !== null && match.index <= this.#wrong && this.#wrong < match.index + all.length;
      parts.push(kind || wrong ? h('span', { class: `${kind} ${wrong ? 'wrong' : ''}`, text: all }) : all);
    }
    fill(this.#paint, parts, '\n');
  }

  #word() {
    const before = this.value.slice(0, this.#text.selectionStart);
    return /[\w']*$/.exec(before)[0].replace(/^'/, '');
  }

  #complete(asked) {
    const word = this.#word();
    const upper = word.toUpperCase();
    if (!asked && word.length < 2) { this.#close(); return; }
    const all = [...this.names, ...WORDS.map((name) => ({ word: name, about: '' }))];
    const found = all.filter((name) => name.word.toUpperCase().startsWith(upper) && name.word.toUpperCase() !== upper).slice(0, 40);
    if (!found.length) { this.#close(); return; }
    this.#choice = 0;
    fill(this.#list, found.map((name, i) => h('li', {
      role: 'option', id: `completion-${i}`, 'aria-selected': i === 0 ? 'true' : 'false',
      onmousedown: (event) => { event.preventDefault(); this.#take(name.word); },
    }, h('span', { text: name.word }), h('span', { class: 'soft', text: name.about }))));
    const lines = this.value.slice(0, this.#text.selectionStart).split('\n');
    this.#list.style.top = `${Math.min(lines.length, 30) * 19.5 + 10}px`;
    this.#list.style.left = `${Math.min(lines.at(-1).length, 60) * 7.8}px`;
    this.#list.hidden = false;
    this.#text.setAttribute('aria-expanded', 'true');
    this.#text.setAttribute('aria-activedescendant', 'completion-0');
  }

  #close() {
    this.#list.hidden = true;
    this.#text.setAttribute('aria-expanded', 'false');
    this.#text.removeAttribute('aria-activedescendant');
  }

  #take(name) {
    const word = this.#word();
    this.#text.setRangeText(name, this.#text.selectionStart - word.length, this.#text.selectionStart, 'end');
    this.#close();
    this.#draw();
  }

  #key(event) {
    const isOpen = !this.#list.hidden;
    if (event.key === ' ' && event.ctrlKey) { event.preventDefault(); this.#complete(true); return; }
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#close();
      this.dispatchEvent(new Event('run'));
      return;
    }
    if (!isOpen) return;
    const items = [...this.#list.children];
    if (event.key === 'Escape') this.#close();
    else if (event.key === 'Tab' || event.key === 'Enter') this.#take(items[this.#choice].firstChild.textContent);
    else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      items[this.#choice].setAttribute('aria-selected', 'false');
      this.#choice = (this.#choice + (event.key === 'ArrowDown' ? 1 : items.length - 1)) % items.length;
      items[this.#choice].setAttribute('aria-selected', 'true');
      items[this.#choice].scrollIntoView({ block: 'nearest' });
      this.#text.setAttribute('aria-activedescendant', `completion-${this.#choice}`);
    } else return;
    event.preventDefault();
  }
}
customElements.define('sql-editor', SqlEditor);

export const editor = () => document.createElement('sql-editor');
