// Dialogs: a form, a question before something is lost, a look at something.

import { h } from './dom.js';

/** Opens a dialog with `content`; resolves when it is closed. */
export function show(title, content, actions = []) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { 'aria-label': title, onclose: () => { dialog.remove(); resolve(dialog.returnValue); } });
    const close = h('button', { type: 'button', text: actions.length ? 'Cancel' : 'Close', onclick: () => dialog.close() });
    dialog.append(h('div', { class: 'inside' }, h('h2', { text: title }), content, h('div', { class: 'actions' }, close, actions.map((action) => action(dialog)))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks before something is lost: `loss` names what. */
export async function confirm(title, loss, verb) {
  const yes = (dialog) => h('button', { type: 'button', class: 'danger', text: verb, onclick: () => dialog.close('yes') });
  return (await show(title, h('p', { text: loss }), [yes])) === 'yes';
}

/** A field with its name. */
export const field = (name, input) => h('label', { class: 'field' }, name, input);

/** A form whose `submit` may fail: then its words stand in the dialog, and nothing is lost. */
export function form(title, content, verb, submit) {
  const error = h('p', { class: 'error', role: 'alert', hidden: true });
  const send = (dialog) => h('button', {
    type: 'button', class: 'main', text: verb,
    onclick: async ({ target }) => {
      target.disabled = true;
      error.hidden = true;
      try {
        await submit();
        dialog.close('done');
      } catch (problem) {
        error.textContent = problem.message;
        error.hidden = false;
      }
      target.disabled = false;
    },
  });
  return show(title, [content, error], [send]);
}
