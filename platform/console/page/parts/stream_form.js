// Add a stream: columns proposed from the topic's newest records, editable, the statement shown before it is run.

import { h, fill } from './dom.js';
import { get, path, post } from './server.js';
import { field, form } from './dialog.js';

const FORMATS = ['JSON', 'AVRO', 'JSON_SR', 'PROTOBUF', 'DELIMITED', 'KAFKA'];

const isPlain = (name) => /^[A-Za-z_]\w*$/.test(name);
const quoted = (name) => (isPlain(name) ? name : `\`${name.replaceAll('`', '``')}\``);
const text = (value) => `'${value.replaceAll("'", "''")}'`;

/** Opens the form; resolves to `done` when the stream was made. */
export async function addStream(topic) {
  const proposal = await get(path`api/topics/${topic}/proposal`);
  const name = h('input', { value: topic.replace(/\W/g, '_'), 'aria-label': 'Name of the stream' });
  const format = h('select', {}, FORMATS.map((one) => h('option', { text: one })));
  const rows = h('div', { class: 'side' });
  const statement = h('pre', { class: 'block', 'aria-label': 'The statement' });
  let columns = proposal.columns.map((column) => ({ ...column }));
  const sql = () => {
    const list = columns.filter((column) => column.name).map((column) => `  ${quoted(column.name)} ${column.type}`).join(',\n');
    return `CREATE STREAM ${quoted(name.value)}${list ? ` (\n${list}\n)` : ''} WITH (KAFKA_TOPIC=${text(topic)}, VALUE_FORMAT=${text(format.value)});`;
  };
  const draw = () => { statement.textContent = sql(); };
  const drawRows = () => {
    fill(rows, columns.map((column, i) => h('div', { class: 'columns' },
      h('input', { value: column.name, 'aria-label': `Name of column ${i + 1}`, oninput: ({ target }) => { column.name = target.value; draw(); } }),
      h('input', { value: column.type, 'aria-label': `Type of column ${i + 1}`, oninput: ({ target }) => { column.type = target.value; draw(); } }),
      h('button', { type: 'button', text: '✕', 'aria-label': `Remove column ${column.name}`, onclick: () => { columns = columns.filter((other) => other !== column); drawRows(); } }))),
    h('button', { type: 'button', text: 'Add a column', onclick: () => { columns.push({ name: '', type: 'VARCHAR' }); drawRows(); } }));
    draw();
  };
  name.addEventListener('input', draw);
  format.addEventListener('change', draw);
  drawRows();
  const from = proposal.json
    ? `Proposed from ${proposal.json} of the newest ${proposal.records} records.`
    : proposal.records ? 'The newest records are no JSON objects: name the columns yourself.' : 'The topic has no records yet: name the columns yourself.';
  return form(`Add a stream over ${topic}`, h('div', { class: 'side' },
    field('Name', name), field('Encoding', format), h('p', { class: 'soft', text: from }), rows, statement), 'Add stream', async () => {
    await post('api/ksql', { ksql: sql() });
  });
}

/** The same, after asking over which topic. */
export async function addStreamOver(topics) {
  const topic = h('select', {}, topics.map((name) => h('option', { text: name })));
  const chosen = await form('Add a stream', field('Topic', topic), 'Next…', async () => {});
  return chosen === 'done' ? addStream(topic.value) : chosen;
}
