// The panels beside the table.

function drawTop() {
  const e = state.hello || {};
  const mark = state.gate === 'running' ? '▶' : /before|after/.test(state.gate) ? '❚❚' : '○';
  fill($('state'), h('span.turn', t('turn.n', { n: count(state.turn) })),
    h('span', { class: 'gate ' + state.gate }, mute(mark + ' '), t('gate.' + state.gate)));
  const choice = (op, values, words) => fill($(op), values.map(v => button({ k: v, do: op, v: v, 'aria-pressed': String(e[op] === v), disabled: playing() }, known(words + v) ? t(words + v) : v)));
  choice('backend', BACKENDS, '');
  choice('trigger', TRIGGERS, 'trigger.');
  for (const b of document.querySelectorAll('[data-do=lang]')) b.setAttribute('aria-pressed', String(b.dataset.v === lang));
  const running = state.gate === 'running';
  $('run').className = running ? 'on' : '';
  fill($('run'), t(running ? 'do.pause' : 'do.run'), h('kbd', t('key.space')));
  $('reveal').disabled = state.gate !== 'before';
  document.title = t('turn.n', { n: state.turn }) + ' · ' + t('gate.' + state.gate) + ' · ' + t('top.title');
}

const SETTINGS = ['budget', 'watermark', 'limit', 'slow', 'timeout'];
// What can be chosen changes with `hello` and with the language only.
function offer() {
  const e = state.hello || {};
  const option = (value, text) => h('option', { value: value }, text);
  fill($('handler'), (e.handlers || []).map(x => option(x, known('handler.' + x) ? t('handler.' + x) : x)));
  fill($('scenario'), option('', t('top.none')), (e.scenarios || []).map(x => option(x.id, (x.question ? x.question + ' · ' : '') + both(x.title))));
  $('scenario').value = e.scenario || '';
  const field = op => h('form', { do: 'set', v: op, k: op }, h('label', { for: 'set-' + op }, t('set.' + op)),
    h('input', { id: 'set-' + op, type: 'number', min: 0, inputmode: 'numeric' }), h('button', { type: 'submit' }, t('do.set')));
  fill($('settings'), SETTINGS.map(field));
}
function renewSettings() {
  const e = state.hello || {};
  if ($('handler').value !== e.handler && document.activeElement !== $('handler')) $('handler').value = e.handler || '';
  for (const op of SETTINGS) {
    const input = $('set-' + op);
    if (input && document.activeElement !== input && e[op] !== undefined && e[op] !== null) input.value = e[op];
  }
}

const IMPORTANCE = ['out-of-descriptors', 'lost-edge', 'spin', 'zombie', 'end-ignored', 'slow-handler', 'write-idle', 'growing-buffer', 'hog'];
const CHAPTER = { 'spin': 22, 'lost-edge': 4, 'write-idle': 20, 'end-ignored': 22, 'slow-handler': 23, 'growing-buffer': 8, 'hog': 11, 'zombie': 3, 'out-of-descriptors': 25 };
const HELD_MS = 3000;
let held = { lints: [], at: 0 };
const rank = lint => (IMPORTANCE.indexOf(lint.id) + 99) % 99;
const lintText = lint => known('lint.' + lint.id) ? t('lint.' + lint.id, { fd: lint.fd === undefined || lint.fd === null ? '' : lint.fd }) : lint.id;
function drawAlert(r) {
  let lints = (r && r.lints || []).slice().sort((a, b) => rank(a) - rank(b));
  // In run mode a warning stays long enough to be read.
  if (lints.length) held = { lints, at: Date.now() };
  else if (state.gate === 'running' && Date.now() - held.at < HELD_MS) lints = held.lints;
  $('alert').hidden = !lints.length;
  if (!lints.length) return;
  const [first, ...more] = lints;
  const why = known('lint.' + first.id + '.why');
  fill($('alert'), h('h2', { id: 'alert-t' }, mute('▲ '), sr(t('alert.title') + ': '), lintText(first), CHAPTER[first.id] && h('small', t('alert.chapter', { n: CHAPTER[first.id] }))),
    why && h('p', h('b', t('alert.why')), ' ', t('lint.' + first.id + '.why')),
    why && h('p', h('b', t('alert.try')), ' ', t('lint.' + first.id + '.try')),
    more.length ? h('p.sub', t('alert.more', { n: more.length, list: joined(more.map(lintText), 'say.comma') })) : null);
}

function drawGuide() {
  const e = state.hello || {};
  const s = (e.scenarios || []).find(x => x.id === e.scenario);
  $('guide').hidden = !s;
  if (!s) return;
  const chapter = /^ch0*(\d+)/.exec(s.chapter || '');
  fill($('guide'), h('div', h('h2', { id: 'guide-t' }, h('small', t('scenario.question', { n: s.question }), chapter ? ' · ' + t('alert.chapter', { n: chapter[1] }) : ''), both(s.title)),
      playing() ? null : h('p.acts', button({ do: 'scenario', v: s.id }, t('scenario.again')), button({ class: 'quiet', do: 'scenario', v: '' }, t('scenario.leave')))),
    s.steps && h('div', h('h3', t(playing() ? 'scenario.played' : 'scenario.steps')), h('ol', s.steps.map(x => h('li', both(x))))),
    s.see && h('div', h('h3', t('scenario.see')), h('p', both(s.see))));
}

function drawStory(r) {
  const at = r && r.t;
  const before = state.turns.filter(x => x.t < (at || Infinity)).slice(-12).reverse();
  const notes = state.notes.filter(n => state.looked === null || n.after < at);
  const fresh = notes.filter(n => n.after === state.turn && state.looked === null);
  const lines = before.map(x => [h('li', { k: x.t }, sentence(x)), notes.filter(n => n.after === x.t - 1).map(n => h('li.note', both(n.text)))]);
  fill($('story'), h('h2', { id: 'story-t' }, t('story.title'), past()),
    state.looked !== null && h('p.looking', t('story.past', { t: state.looked }), ' ', button({ do: 'now' }, t('story.now'))),
    state.busy && h('p.note', t('say.busy', { what: state.busy.what, fd: state.busy.fd === null ? '' : state.busy.fd, time: time(state.busy.for_ms * 1e6) })),
    fresh.map(n => h('p.note', both(n.text))),
    h('p.says', sentence(r) || t(playing() ? 'story.film' : 'story.first'), playing() && filmAt >= film.length ? ' ' + t('story.end') : null),
    /before|after/.test(state.gate) && state.looked === null && !playing() ? h('p.sub.goes', t('kernel.goes')) : null,
    before.length ? h('details.log', h('summary', t('story.log')), h('ol', lines)) : null);
}

const listText = fds => '[' + fds.join(', ') + ']';
function drawWait(r) {
  const w = r && r.wait;
  fill($('wait'), h('h2', { id: 'wait-t' }, t('wait.title'), past()), !w ? h('p.empty', t('wait.none')) : [
    h('p.call', h('b', w.call), '(', w.args || (w.timeout_ms === null ? t('wait.forever') : w.timeout_ms + ' ms'), ')'),
    h('dl', { class: 'facts' },
      h('div', h('dt', t('wait.returned')), h('dd', shown(w.returned))),
      h('div', h('dt', t('wait.slept')), h('dd', time(w.slept_ns))),
      h('div', h('dt', t('wait.raw')), h('dd', w.raw && w.raw.length ? w.raw.map(x => h('span.mask', x.fd, ' ', h('code', x.mask))) : '–')))]);
}

function drawLists(r) {
  const fresh = r && r.reported ? r.reported.filter(x => !x.again) : [];
  // As select puts them: an error is in the lists that were asked for, and in the third one only urgent data.
  const MASKS = { r: /^(r|IN|HUP|ERR)$/, w: /^(w|OUT|ERR)$/, e: /^(e|PRI)$/ };
  const raw = fd => ((r.wait.raw || []).find(x => x.fd === fd) || { mask: '' }).mask.split('|');
  const asked = (fd, f) => has((rowOf(r, fd) || { interest: 'r' }).interest, f);
  const of = f => listText(fresh.filter(x => asked(x.fd, f) && raw(x.fd).some(name => MASKS[f].test(name))).map(x => x.fd));
  const line = (name, value) => h('div', h('dt', h('code', name)), h('dd', value));
  const l = r && r.lists;
  $('lists').hidden = !r;
  fill($('lists'), h('h2', { id: 'lists-t' }, t('lists.title'), past()), h('p.sub', t('lists.what')),
    h('dl.lists', line('r_list', of('r')), line('w_list', of('w')), line('e_list', of('e')),
      l && line('inputs', listText(l.inputs || [])), l && line('outputs', listText(l.outputs || [])),
      l && line('message_dict', '{' + Object.entries(l.message_dict || {}).map(([fd, m]) => fd + ': [' + m.map(x => JSON.stringify(cut(x, 16))).join(', ') + ']').join(', ') + '}')));
}

function drawCost(r) {
  const cost = r && r.cost || {};
  const used = state.hello && (state.hello.backend === 'mio' ? 'epoll' : state.hello.backend);
  const measured = r && r.measured || {};
  const num = v => h('td.num', shown(v));
  fill($('cost'), h('h2', { id: 'cost-t' }, t('cost.title'), past()),
    h('div.model', h('h3', mute('▣ '), t('cost.model')), h('p.sub', t('cost.model.what')),
      h('table', h('thead', h('tr', h('th', { scope: 'col' }, t('cost.call')), ['looked', 'in', 'out'].map(k => h('th', { scope: 'col', class: 'num' }, t('cost.' + k))))),
        h('tbody', ['select', 'poll', 'epoll'].map(b => h('tr', { class: b === used ? 'used' : null }, h('th', { scope: 'row' }, b, b === used ? h('small', t('cost.used')) : null),
          num((cost[b] || {}).looked), num((cost[b] || {}).in), num((cost[b] || {}).out)))))),
    h('div.clock', h('h3', mute('◷ '), t('cost.clock')), h('p.sub', t('cost.clock.what')),
      h('dl.facts', LANES.map(k => h('div', h('dt', t('m.' + k)), h('dd', time(measured[k + '_ns'])))))));
}

function drawKernel(r) {
  const list = r && r.kernel;
  const missing = list ? (r.sources || []).filter(s => s.interest !== '-' && !list.some(k => k.fd === s.fd)).map(s => s.fd) : [];
  const strange = list ? list.some(k => !k.known) : false;
  fill($('kernel'), h('h2', { id: 'kernel-t' }, t('kernel.title'), past()), !list ? h('p.empty', t('kernel.none')) : [
    h('p.sub', t('kernel.what')),
    h('ul.klist', list.map(k => h('li', { class: k.known ? null : 'zombie' }, h('b', k.fd), ' ', h('code', k.mask), k.known ? null : [' ', h('em', t('kernel.zombie'))]))),
    missing.length ? h('p.sub', t('kernel.missing', { list: listText(missing) })) : strange ? null : h('p.sub', t('kernel.same'))]);
}

function drawPredict(r) {
  const rows = sourcesOf(r);
  const v = state.verdict;
  const waits = state.gate === 'before' && state.looked === null;
  $('predict').hidden = !rows.length;
  const toggle = (value, text, on) => button({ k: 'f' + value, do: 'guess', v: value, 'aria-pressed': String(Boolean(on)), disabled: !waits }, text);
  fill($('predict'), h('h2', { id: 'predict-t' }, t('predict.title')), h('p.ask', { id: 'predict-ask' }, t('predict.ask')),
    h('div.guesses', { role: 'group', 'aria-labelledby': 'predict-ask' },
      rows.filter(s => s.interest !== '-').map(s => toggle(s.fd, [h('b', s.fd), ' ', nameOf(r, s.fd)], state.guess && state.guess.has(s.fd))),
      toggle('', t('predict.nothing'), state.guess && !state.guess.size),
      h('output.score', t('predict.score', { right: state.right, total: state.guesses }))),
    v && h('p', { class: 'verdict ' + (v.right ? 'right' : 'wrong') }, h('b', { 'aria-hidden': 'true' }, v.right ? '✓ ' : '✗ '),
      t(v.right ? 'predict.right' : 'predict.wrong', { said: listFds(v.said), list: listFds(v.reported) })));
}

const GONE = ['closed', 'reset', 'refused'];
const FAULTS = ['half-close', 'reset'];
const MORE_FAULTS = ['close', 'drip', 'flood', 'calm', 'urgent', 'duplicate', 'blocking'];
function drawClients() {
  const clients = [...state.clients.values()];
  const fault = (c, kind) => button({ k: kind, do: 'fault', v: kind, c: c.id, disabled: GONE.includes(c.state) }, t('fault.' + kind));
  fill($('clients'), h('h2', { id: 'clients-t' }, t('clients.title')),
    h('p.acts', button({ do: 'spawn', v: 1 }, t('clients.spawn'), h('kbd', 'c')), button({ class: 'quiet', do: 'spawn', v: 10 }, t('clients.ten')), clients.length ? h('label.sub', h('input', { type: 'checkbox', id: 'line-end', checked: true }), ' ', t('clients.line')) : null),
    clients.length ? null : h('p.empty', t('clients.none', { subject: (state.hello || {}).subject || '' })),
    clients.map(c => {
      const gone = GONE.includes(c.state);
      return h('article', { k: 'c' + c.id, class: (c.id === state.chosen ? 'chosen ' : '') + (gone ? 'gone' : ''), c: c.id },
        h('h3', h('span.n', c.id), c.name, h('span', { class: 'st ' + c.state }, t('state.' + c.state), c.reading === false ? t('say.comma') + t('state.not-reading') : '', c.fault ? ' (' + (known('fault.' + c.fault) ? t('fault.' + c.fault) : c.fault) + ')' : '')),
        h('p.sub', t('clients.sent') + ' ' + count(c.sent) + ' · ' + t('clients.received') + ' ' + count(c.received) + (c.last ? ' · ' + t('clients.last') + ' “' + cut(c.last.trim(), 18) + '”' : '')),
        gone ? null : [h('form', { do: 'send', v: c.id }, h('input', { id: 'say-' + c.id, type: 'text', autocomplete: 'off', 'aria-label': t('clients.text', { name: c.name }) }), h('button', { type: 'submit' }, t('clients.send'))),
          h('p.faults', { role: 'group', 'aria-label': t('clients.break', { name: c.name }) }, button({ do: 'bulk', v: c.id }, t('clients.bulk')), FAULTS.map(k => fault(c, k)), fault(c, c.reading === false ? 'read-again' : 'stop-reading')),
          h('details', h('summary', t('clients.more')), h('p.faults', MORE_FAULTS.map(k => fault(c, k))))]);
    }));
}

let scrolledTo = '';
function drawCode(r) {
  const e = state.hello || {};
  const line = r && r.line || {};
  const name = line.handler || e.handler;
  const code = (e.code || {})[name];
  $('code').hidden = !code;
  if (!code) return;
  const pane = (kind, title) => h('div.pane', { k: kind }, h('h3', { id: 'code-' + kind }, title), !code[kind] ? h('p.empty', t('code.none')) :
    h('div.text', { tabindex: 0, role: 'region', 'aria-labelledby': 'code-' + kind, id: 'text-' + kind }, code[kind].replace(/\n$/, '').split('\n').map((text, i) => {
      const ran = (line[kind] || []).includes(i + 1);
      const next = ran && line[kind][line[kind].length - 1] === i + 1;
      const comment = /^\s*(\/\/|#)/.test(text);
      return h('div', { class: 'l' + (ran ? ' ran' : '') + (next ? ' next' : '') + (comment ? ' rem' : '') }, h('i', { n: i + 1 }, next ? '▸' : ''), h('code', text || ' '));
    })));
  fill($('code'), h('h2', { id: 'code-t' }, t('code.title'), ' ', h('span.soft', known('handler.' + name) ? t('handler.' + name) : name), past()), h('p.sub', t('code.next')),
    h('div.panes', pane('rust', 'Rust'), pane('python', 'Python')));
  const at = name + JSON.stringify([line.rust, line.python]);
  if (at === scrolledTo) return;
  scrolledTo = at;
  for (const kind of ['rust', 'python']) {
    const box = $('text-' + kind), next = box && box.querySelector('.next');
    if (next) box.scrollTop = next.offsetTop - box.offsetTop - box.clientHeight / 2;
  }
}

function drawFoot() {
  const e = state.hello || {};
  fill($('foot'), [playing() ? t('foot.recording') : e.subject && t('foot.subject', { subject: e.subject }), e.kernel && t('foot.kernel', { kernel: e.kernel, arch: e.arch }), e.version && 'tripoll ' + e.version,
    state.probe !== null && t('foot.probe', { time: time(state.probe) }), t('foot.skipped', { n: count(state.skipped) }), t('foot.dropped', { n: count(state.dropped) })].filter(Boolean).map(x => h('span', x)));
}

const KEYS = [[' ', 'help.k.space'], ['s', 'do.step'], ['S', 'do.ten'], ['u', 'do.until', 'until.lint'], ['← →', 'turns.look'], ['p', 'predict.title'], ['b', 'top.backend'], ['t', 'top.trigger'],
  ['c', 'clients.spawn'], ['1–9', 'help.k.n'], ['/', 'help.k.slash'], ['h', 'fault.half-close'], ['r', 'fault.reset'], ['z', 'help.k.z'], ['l', 'top.language'], ['?', 'top.help']];
function drawHelp() {
  fill($('help'), h('h2', { id: 'help-t' }, t('help.title')), button({ do: 'help' }, t('help.close')),
    h('p', t('help.what')), h('p', t('help.three')), h('p', t('help.switch')),
    h('h3', t('help.keys')), h('p', h('label', h('input', { type: 'checkbox', id: 'keys-on', 'data-change': 'keys' }), ' ', t('help.keys.on'))),
    h('dl.keys', KEYS.map(([key, ...what]) => h('div', h('dt', h('kbd', key === ' ' ? t('key.space') : key)), h('dd', joined(what.map(x => t(x)), 'say.colon'))))));
  $('keys-on').checked = keysOn;
}
