// The last turns as bars: one lane for each kind of work, and one for marks.

const LANES = ['wait', 'accept', 'read', 'write', 'handler'];
const LANE = 22, LEFT = 64, BAR = 10, MARKS = 18, AXIS = 16;

function windowOfTurns() {
  const room = Math.max(8, Math.floor(($('strip').clientWidth - LEFT - 4) / BAR));
  let end = state.turns.length;
  if (state.looked !== null) {
    const at = state.turns.findIndex(r => r.t === state.looked);
    if (at >= 0 && at < end - room) end = Math.min(end, at + Math.ceil(room / 2));
  }
  return state.turns.slice(Math.max(0, end - room), end);
}
// 100 ns is the lowest that is drawn, 1 s fills the lane.
const height = ns => !ns ? 0 : Math.max(1.5, Math.min(1, Math.log10(Math.max(ns, 100) / 100) / 7) * (LANE - 5));

function drawTurns() {
  const svg = $('strip');
  const width = Math.max(200, svg.clientWidth), tall = LANES.length * LANE + MARKS + AXIS;
  svg.setAttribute('viewBox', '0 0 ' + width + ' ' + tall);
  svg.setAttribute('height', tall);
  const list = windowOfTurns();
  const at = state.looked !== null ? state.looked : state.turn;
  const bottom = i => (i + 1) * LANE;
  fill($('bars'),
    LANES.map((k, i) => h('g', { k: k }, h('text', { x: LEFT - 10, y: bottom(i) - 5, 'text-anchor': 'end' }, t('m.' + k)), h('line.base', { x1: LEFT, x2: width, y1: bottom(i), y2: bottom(i) }))),
    list.map((r, n) => {
      const x = LEFT + n * BAR, m = r.measured || {};
      const ghost = (r.ghosts || []).length, lint = (r.lints || []).length;
      return h('g', { k: 't' + r.t, t: r.t, class: 'bar' + (r.t === at ? ' at' : '') }, h('rect.hit', { x, y: 0, width: BAR, height: tall - AXIS }),
        LANES.map((k, i) => { const high = height(m[k + '_ns']); return high ? h('rect', { class: 'm-' + k, x: x + 1.5, width: BAR - 3, y: bottom(i) - high, height: high }) : null; }),
        ghost ? h('circle.mark.ghost', { cx: x + BAR / 2, cy: LANES.length * LANE + MARKS / 2, r: 3.6 }) : lint ? h('text.mark', { x: x + BAR / 2, y: LANES.length * LANE + MARKS - 5, 'text-anchor': 'middle' }, '▲') : null,
        r.t % 10 === 0 ? h('text.tick', { x: x + BAR / 2, y: tall - 3, 'text-anchor': 'middle' }, r.t) : null);
    }));
  const look = $('look'), first = state.turns[0], newest = last();
  look.disabled = !newest;
  look.min = first ? first.t : 1;
  look.max = newest ? newest.t : 1;
  if (document.activeElement !== look || state.looked === null) look.value = at;
  look.setAttribute('aria-valuetext', t('turn.n', { n: at }));
  $('look-at').textContent = t('turn.n', { n: at });
  if (!$('turn-table').parentNode.open) return;
  const num = v => h('td.num', v);
  fill($('turn-table'), h('table', h('thead', h('tr', ['turns.turn', ...LANES.map(k => 'm.' + k), 'turns.marks'].map(k => h('th', { scope: 'col', class: 'num' }, t(k))))),
    h('tbody', list.slice(-40).reverse().map(r => h('tr', { k: r.t }, h('th', { scope: 'row', class: 'num' }, r.t), LANES.map(k => num(time((r.measured || {})[k + '_ns']))),
      num([(r.ghosts || []).length ? '◌ ' + r.ghosts.join(' ') : '', (r.lints || []).map(l => l.id).join(' ')].filter(Boolean).join(' · ') || '–'))))));
}
