// Elements without markup: text is always text.

const SVG = new Set(['svg', 'g', 'path', 'rect', 'circle', 'line', 'text', 'title', 'polyline']);

/** An element. `props`: attributes, `on…` handlers, `class`, `text`. Children: nodes, texts, lists; empty ones are left out. */
export function h(tag, props = {}, ...children) {
  const isSvg = SVG.has(tag) && tag !== 'title';
  const element = isSvg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'text') element.textContent = value;
    else if (name === 'value' || name === 'checked' || name === 'disabled') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What tells an element from others of its kind, also when it is drawn anew. */
const identity = (one) => one.getAttribute('href') ?? one.getAttribute('aria-label') ?? one.textContent;

/** Replaces what is in an element. What had the focus has it again afterwards. */
export function fill(element, ...children) {
  const wanted = children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
  const focused = document.activeElement;
  const alike = () => [...element.querySelectorAll(focused.localName)];
  const place = element !== focused && element.contains(focused) ? alike().indexOf(focused) : -1;
  element.replaceChildren(...wanted);
  if (place >= 0 && !focused.isConnected) {
    const found = alike();
    const isIt = (one) => one && identity(one) === identity(focused);
    (isIt(found[place]) ? found[place] : found.find(isIt) ?? found[place])?.focus({ preventScroll: true });
  }
  return element;
}

/** Runs `work` once in the next frame, however often it is asked. */
export function eachFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; work(); });
  };
}

/** Gives the browser a file. */
export function download(name, text, type) {
  const link = h('a', { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
