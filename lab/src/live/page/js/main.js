// Events, controls, keys, links.

const BACKENDS = ['select', 'poll', 'epoll', 'mio'];
const TRIGGERS = ['level', 'edge', 'oneshot'];
const READ_MS = 250;        // in run mode, numbers change at most four times a second
const token = new URLSearchParams(location.search).get('t') || '';
let keysOn = remembered('keys') !== 'off';
let film = null, filmAt = 0, filmRuns = null;      // a recording, where there is no server
const playing = () => Boolean(film);

// Drawing.
let due = null, drawnAt = 0;
function draw() {
  if (due) return;
  const wait = state.gate === 'running' ? Math.max(0, drawnAt + READ_MS - Date.now()) : 0;
  due = setTimeout(() => { due = null; drawnAt = Date.now(); drawAll(); }, wait);
}
function drawAll() {
  const r = record();
  drawTop(); drawAlert(r); drawGuide(); drawStory(r); drawWait(r); drawPredict(r); drawSources(r); drawLists(r);
  drawClients(); drawCost(r); drawKernel(r); drawTurns(); drawCode(r); drawFoot(); renewSettings();
  document.body.classList.toggle('looking', state.looked !== null);
  if (held.lints.length && state.gate === 'running') setTimeout(draw, HELD_MS);
}
function relabel() {
  document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
  for (const e of document.querySelectorAll('[data-s]')) e.textContent = t(e.dataset.s);
  for (const e of document.querySelectorAll('[data-label]')) e.setAttribute('aria-label', t(e.dataset.label));
  offer(); drawHelp(); drawAll();
}

// For a screen reader: one sentence a turn while one steps, warnings only while it runs.
let spoken = '';
function say(text) { if (text && text !== spoken) { spoken = text; $('live').textContent = text; } }
function speak(r) {
  const lints = (r.lints || []).slice().sort((a, b) => rank(a) - rank(b)).map(lintText);
  say(state.gate === 'running' ? lints[0] : joined([sentence(r), ...lints.slice(0, 1)], 'say.comma'));
}
let noticed = null;
function notice(text, stays) {
  $('notice').textContent = text;
  clearTimeout(noticed);
  if (!stays) noticed = setTimeout(() => { $('notice').textContent = ''; }, 8000);
}

// Controls.
async function post(op, body) {
  if (playing()) return play(op);
  try {
    const answer = await fetch('control?t=' + encodeURIComponent(token) + '&' + op, { method: 'POST', body: body || '' });
    if (!answer.ok) notice((await answer.text()).trim() || String(answer.status));
    return answer.ok;
  } catch { notice(t('gate.lost')); return false; }
}
// A prediction is given before the step that answers it.
async function stepping(op) {
  state.looked = null;
  if (state.guess && state.gate === 'before' && !playing()) await post('op=predict&fds=' + [...state.guess].join());
  return post(op);
}

const next = (list, value) => list[(list.indexOf(value) + 1) % list.length];
const actions = {
  step: () => stepping('op=step&n=1'),
  ten: () => stepping('op=step&n=10'),
  reveal: () => stepping('op=reveal'),
  run: () => { state.looked = null; return state.gate === 'running' ? post('op=pause') : post('op=run'); },
  until: () => { state.looked = null; const to = $('until').value; return post('op=until&until=' + to + (to === 'turn' ? '&n=' + ($('until-n').value || state.turn + 10) : '')); },
  backend: e => choose('backend', e.dataset.v),
  trigger: e => choose('trigger', e.dataset.v),
  scenario: e => choose('scenario', e.dataset.v),
  set: e => choose(e.dataset.v, e.querySelector('input').value),
  spawn: e => post('op=spawn&n=' + e.dataset.v),
  send(e) { const box = e.querySelector('input'); const end = $('line-end').checked ? '\n' : ''; if (box.value || end) post('op=send&client=' + e.dataset.v, box.value + end).then(ok => { if (ok) box.value = ''; }); },
  bulk: e => post('op=send&client=' + e.dataset.v, 'x'.repeat(2048)),
  fault: e => post('op=fault&client=' + e.dataset.c + '&kind=' + e.dataset.v),
  guess(e) {
    const v = e.dataset.v;
    if (v === '') state.guess = state.guess && !state.guess.size ? null : new Set();
    else { const g = state.guess || new Set(), fd = Number(v); g.has(fd) ? g.delete(fd) : g.add(fd); state.guess = g.size ? g : null; }
    state.verdict = null;
    draw();
  },
  now() { state.looked = null; draw(); },
  lang(e) { lang = e.dataset.v; remember('lang', lang); relabel(); },
  help() {
    const box = $('help'), open = box.hidden;
    box.hidden = !open;
    $('help-open').setAttribute('aria-expanded', String(open));
    (open ? box : $('help-open')).focus();
  },
  share,
};
// No scenario: the handler begins anew, without clients.
const choose = (op, value) => op === 'scenario' && !value ? post('op=restart') : post('op=' + op + '&' + op + '=' + encodeURIComponent(value));
const changes = {
  handler: e => choose('handler', e.value),
  scenario: e => choose('scenario', e.value),
  until: e => { $('until-n').hidden = e.value !== 'turn'; },
  keys: e => { keysOn = e.checked; remember('keys', keysOn ? 'on' : 'off'); },
};

// Links: the part after # says which scenario, settings and turn.
function share() {
  const e = state.hello || {}, parts = new URLSearchParams();
  if (e.scenario) parts.set('scenario', e.scenario);
  for (const op of ['backend', 'trigger', 'handler', ...SETTINGS]) if (e[op] !== undefined && e[op] !== null) parts.set(op, e[op]);
  if (e.scenario && state.turn) parts.set('turn', state.looked !== null ? state.looked : state.turn);
  const link = location.href.split('#')[0] + '#' + parts;
  const copied = navigator.clipboard ? navigator.clipboard.writeText(link) : Promise.reject();
  copied.then(() => notice(t('share.done')), () => notice(t('share.manual') + ' ' + link, true));
}
async function follow() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (playing() || ![...parts].length) return;
  // Once only: to load the page anew must not start the scenario anew.
  history.replaceState(null, '', location.pathname + location.search);
  for (const op of ['scenario', 'backend', 'trigger', 'handler', ...SETTINGS]) {
    if (parts.has(op) && String((state.hello || {})[op]) !== parts.get(op)) await choose(op, parts.get(op));
  }
  if (parts.has('turn')) await post('op=until&until=turn&n=' + encodeURIComponent(parts.get('turn')));
}

// Keys: never while somebody types, and never with a modifier.
function look(by) {
  if (!state.turns.length) return;
  const at = state.looked === null ? state.turns.length - 1 : state.turns.findIndex(r => r.t === state.looked);
  const to = Math.max(0, at + by);
  state.looked = to >= state.turns.length - (by > 0 ? 1 : 0) ? null : state.turns[to].t;
  draw();
}
const chosen = () => state.clients.get(state.chosen) || [...state.clients.values()][0];
const hurt = kind => { const c = chosen(); if (c) post('op=fault&client=' + c.id + '&kind=' + kind); };
const keys = {
  ' ': () => actions.run(), s: () => actions.step(), S: () => actions.ten(), u: () => post('op=until&until=lint'),
  ArrowLeft: () => look(-1), ArrowRight: () => look(1),
  b: () => choose('backend', next(BACKENDS, (state.hello || {}).backend)), t: () => choose('trigger', next(TRIGGERS, (state.hello || {}).trigger)),
  c: () => post('op=spawn&n=1'), h: () => hurt('half-close'), r: () => hurt('reset'),
  z: () => { const c = chosen(); if (c) hurt(c.reading === false ? 'read-again' : 'stop-reading'); },
  '/': () => { const c = chosen(), box = c && $('say-' + c.id); if (box) box.focus(); },
  p: () => { const first = document.querySelector('#predict button:not([disabled])'); if (first) first.focus(); },
  l: () => { lang = lang === 'zh' ? 'en' : 'zh'; remember('lang', lang); relabel(); },
  '?': () => actions.help(), Escape: () => { if (!$('help').hidden) actions.help(); else actions.now(); },
};
document.addEventListener('keydown', e => {
  const typing = e.target.closest('input:not([type=checkbox]), select, textarea');
  if (typing && e.key === 'Escape') { typing.blur(); return; }
  if (!keysOn && e.key !== 'Escape' || typing || e.ctrlKey || e.altKey || e.metaKey) return;
  if (e.key === ' ' && e.target.closest('button, summary, a, input')) return;
  if (/^[1-9]$/.test(e.key)) { state.chosen = Number(e.key); draw(); return; }
  if (e.repeat && e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return;
  if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
});
document.addEventListener('click', e => {
  const on = e.target.closest('button[data-do]');
  if (on) return actions[on.dataset.do](on);
  const bar = e.target.closest('[data-t]');
  if (bar) { state.looked = Number(bar.dataset.t) === (last() || {}).t ? null : Number(bar.dataset.t); draw(); }
  const client = e.target.closest('article[data-c]');
  if (client) { state.chosen = Number(client.dataset.c); draw(); }
});
document.addEventListener('submit', e => { e.preventDefault(); actions[e.target.dataset.do](e.target); });
document.addEventListener('change', e => { const on = e.target.closest('[data-change]'); if (on) changes[on.dataset.change](on); });
$('look').addEventListener('input', e => { const n = Number(e.target.value); state.looked = n === (last() || {}).t ? null : n; draw(); });
document.addEventListener('toggle', e => { if (e.target.contains($('turn-table'))) draw(); }, true);
addEventListener('resize', draw);
addEventListener('hashchange', follow);

// A recording plays in the page itself.
function play(op) {
  const p = new URLSearchParams(op), what = p.get('op');
  clearInterval(filmRuns); filmRuns = null;
  const stop = { ghost: r => (r.ghosts || []).length, write: r => (r.calls || []).some(c => c.what === 'write'), end: r => (r.calls || []).some(c => c.result === 0), lint: r => (r.lints || []).length, turn: r => r.t >= Number(p.get('n')) };
  if (what === 'step') forward(Number(p.get('n')));
  else if (what === 'until') { const test = stop[p.get('until')]; while (forward(1)) if (test(last())) break; }
  else if (what === 'pause') state.gate = 'before';
  else if (what === 'run') { state.gate = 'running'; filmRuns = setInterval(() => { if (!forward(1)) { clearInterval(filmRuns); state.gate = 'before'; } draw(); }, 700); }
  draw();
  return Promise.resolve(true);
}
function forward(turns) {
  let went = 0;
  const gate = state.gate === 'running' ? 'running' : 'before';
  while (filmAt < film.length && went <= turns) {
    const [name, data] = film[filmAt];
    if (name === 'turn') { if (went === turns) break; went += 1; }
    filmAt += 1;
    if (take[name] && name !== 'bye') take[name](Object.assign({}, data, { gate }));
  }
  return went;
}

// Start.
function listen() {
  const events = new EventSource('events?t=' + encodeURIComponent(token));
  let first = true;
  for (const name of Object.keys(take)) {
    events.addEventListener(name, e => {
      take[name](JSON.parse(e.data));
      draw();
      if (name === 'bye') events.close();
      if (name === 'hello' && first) { first = false; follow(); }
    });
  }
  events.onerror = () => { if (state.gate !== 'bye') { state.gate = 'lost'; draw(); } };
}
async function start() {
  const inside = id => { const e = $(id); return e && JSON.parse(e.textContent); };
  strings = inside('strings') || await (await fetch('strings.json?t=' + encodeURIComponent(token))).json();
  lang = remembered('lang') || (/^zh/i.test(navigator.language || '') ? 'zh' : 'en');
  film = inside('recording');
  if (film) { document.body.classList.add('film'); forward(0); state.gate = 'before'; }
  relabel();
  if (!film) return listen();
  const to = new URLSearchParams(location.hash.slice(1)).get('turn');
  if (to) play('op=until&until=turn&n=' + encodeURIComponent(to));
}
start();
