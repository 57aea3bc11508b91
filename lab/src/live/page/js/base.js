'use strict';
// The page of the lab. Its files are put one after another, so they share one scope.
// This file: elements, sentences, numbers.

const $ = id => document.getElementById(id);

// An element: 'p.sub' is a `p` of class `sub`. Attributes may follow (null and false leave one out), then children.
function h(name, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElementNS(SVG_TAGS.has(tag) ? $('strip').namespaceURI : document.body.namespaceURI, tag);
  if (classes.length) element.setAttribute('class', classes.join(' '));
  for (const child of children.flat(9)) {
    if (absent(child)) continue;
    if (child.constructor !== Object) { element.append(child.nodeType ? child : String(child)); continue; }
    for (const [key, value] of Object.entries(child)) if (!absent(value)) element.setAttribute(DATA.has(key) ? 'data-' + key : key, value === true ? '' : value);
  }
  return element;
}
const DATA = new Set(['k', 'do', 'v', 'c', 't', 'l', 'n']);
const mute = (...children) => h('span', { 'aria-hidden': 'true' }, ...children);
const button = (attributes, ...children) => h('button', { type: 'button' }, attributes, ...children);
const absent = x => x === null || x === undefined || x === false;
const SVG_TAGS = new Set(['g', 'rect', 'text', 'line', 'circle', 'path']);

// Makes the children of `parent` like `children`, and keeps what is the same:
// so focus, typed text, scrolling and open details survive.
function fill(parent, ...children) {
  const next = children.flat(9).filter(c => !absent(c)).map(c => c.nodeType ? c : document.createTextNode(String(c)));
  let old = parent.firstChild;
  for (const node of next) {
    let same = old;
    while (same && !alike(same, node)) same = same.nextSibling;
    if (!same) { parent.insertBefore(node, old); continue; }
    while (old !== same) { const gone = old; old = old.nextSibling; gone.remove(); }
    old = old.nextSibling;
    renew(same, node);
  }
  while (old) { const gone = old; old = old.nextSibling; gone.remove(); }
}
function alike(a, b) {
  return a.nodeName === b.nodeName &&
    (a.nodeType !== 1 || a.getAttribute('data-k') === b.getAttribute('data-k'));
}
function renew(old, node) {
  if (old.nodeType !== 1) {
    if (old.data !== node.data) old.data = node.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!node.hasAttribute(name) && !(name === 'open' && old.nodeName === 'DETAILS')) old.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  fill(old, [...node.childNodes]);
}

// Sentences: strings.json has each one in both languages.
let strings = {};
let lang = 'en';
function t(key, values) {
  const entry = strings[key];
  if (!entry) return key;
  return entry[lang].replace(/\{(\w+)\}/g, (all, name) => values && name in values ? values[name] : all);
}
const known = key => key in strings;
// A sentence that a record brings in both languages.
const both = text => !text ? '' : typeof text === 'string' ? text : text[lang] || text.en || '';
const joined = (list, key) => list.reduce((a, b) => a + t(key) + b);

// Numbers for people.
const count = n => Number(n).toLocaleString(lang === 'zh' ? 'zh-CN' : 'en');
const shown = n => n === null || n === undefined ? '–' : count(n);
function time(ns) {
  if (ns === null || ns === undefined) return '–';
  if (ns < 1e3) return ns + ' ns';
  for (const [unit, size] of [['µs', 1e3], ['ms', 1e6], ['s', 1e9]]) {
    const n = ns / size;
    if (n < 999.5 || unit === 's') return (n < 10 ? n.toFixed(1) : Math.round(n)) + ' ' + unit;
  }
}
const cut = (text, n) => text.length > n ? text.slice(0, n) + '…' : text;
const sr = text => h('span.sr', text);

// What the page remembers of a person, where the browser allows it.
function remembered(key) { try { return localStorage.getItem('tripoll-lab-' + key); } catch { return null; } }
function remember(key, value) { try { localStorage.setItem('tripoll-lab-' + key, value); } catch { /* then not */ } }
