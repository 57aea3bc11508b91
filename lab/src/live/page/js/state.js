// What the page knows: built from the events only.

const KEPT = 2048;
const state = {
  hello: null, gate: 'loading', turn: 0, now: null, turns: [], clients: new Map(),
  looked: null,             // the turn that is looked at, or null: now
  chosen: 1,                // the client that the keys act on
  guess: null,              // a set of descriptors, or null
  right: 0, guesses: 0, verdict: null,
  notes: [],                // sentences of controls, with the turn before which they came
  busy: null, probe: null, skipped: 0, dropped: 0,
};

// The record that is shown: a turn of the past, or the last one with what changed since.
function record() {
  if (state.looked !== null) {
    const found = state.turns.find(r => r.t === state.looked);
    if (found) return found;
    state.looked = null;
  }
  return state.now;
}
const last = () => state.turns[state.turns.length - 1] || null;
const rowOf = (r, fd) => r && r.sources ? r.sources.find(s => s.fd === fd) : undefined;
const nameOf = (r, fd) => { const row = rowOf(r, fd); return !row ? '?' : row.role === 'listener' ? t('role.listener') : row.name || t('role.' + row.role); };

function forget() {
  Object.assign(state, { turns: [], looked: null, guess: null, verdict: null, notes: [], now: null, skipped: 0, dropped: 0 });
  state.clients.clear();
}

const take = {
  hello(e) {
    if (state.hello && e.scenario !== state.hello.scenario) forget();
    state.hello = e;
    state.gate = e.gate || state.gate;
    offer();
  },
  snapshot(e) {
    state.gate = e.gate || state.gate;
    if (e.turn < (last() || { t: 0 }).t) forget();
    state.turn = e.turn;
    if (e.clients) { state.clients.clear(); e.clients.forEach(c => state.clients.set(c.id, c)); }
    const base = last() || {};
    const pending = state.gate === 'after' && e.wait;
    state.now = Object.assign({}, base, e, pending ? { t: e.turn + 1, calls: [], pending: true } : { t: base.t });
    if (pending && e.predicted) judge(e.predicted, e);
    else if (pending && state.guess) compare(state.now);
  },
  turn(e) {
    state.busy = null;
    if (e.gate) state.gate = e.gate;
    const before = last();
    if (before && e.t <= before.t) forget();
    state.turn = e.t;
    state.turns.push(e);
    if (state.turns.length > KEPT) state.turns.shift();
    state.now = e;
    state.skipped += e.skipped || 0;
    state.dropped += e.dropped || 0;
    if (e.measured && e.measured.probe_ns !== undefined) state.probe = e.measured.probe_ns;
    if (e.predicted && !(state.verdict && state.verdict.t === e.t)) judge(e.predicted, e);
    else if (state.guess) compare(e);
    if (state.verdict && state.verdict.t < e.t - 1) state.verdict = null;
    if (state.gate !== 'running' || e.lints && e.lints.length) speak(e);
  },
  client(e) { state.clients.set(e.client.id, e.client); },
  control(e) {
    if (e.gate) state.gate = e.gate;
    if (e.op === 'gate') return;
    if (e.op in { backend: 1, trigger: 1, handler: 1, limit: 1, budget: 1, watermark: 1, slow: 1, timeout: 1 }) {
      if (state.hello) state.hello[e.op] = e.value;
      note(e.sentence);
    } else if (e.sentence) note(e.sentence);
  },
  busy(e) { state.busy = e.what ? e : null; },
  bye() { state.gate = 'bye'; },
};

function note(text) {
  if (!both(text)) return;
  state.notes.push({ after: state.turn, text });
  if (state.notes.length > 200) state.notes.shift();
  say(both(text));
}

// A prediction is judged by the server, or here when a recording is played.
function judge(predicted, e) {
  state.guesses = predicted.of || state.guesses + 1;
  state.right = predicted.of ? predicted.hits : state.right + (predicted.right ? 1 : 0);
  state.verdict = { t: e.t || e.turn + 1, right: predicted.right, said: predicted.fds, reported: (e.reported || []).filter(r => !r.again).map(r => r.fd) };
  state.guess = null;
}
function compare(e) {
  const reported = (e.reported || []).filter(r => !r.again).map(r => r.fd);
  const said = [...state.guess].sort((a, b) => a - b);
  judge({ fds: said, right: said.join() === reported.slice().sort((a, b) => a - b).join() }, e);
}
