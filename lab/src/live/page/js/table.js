// The table of sources: interest, ready now, reported, and the ghost.

const rowKey = row => row.slot + '.' + row.gen;
const FLAGS = ['r', 'w', 'e'];
const has = (flags, f) => (flags || '').includes(f);

// The wait's own answer: a table that was read later does not know it any more.
const reportedAs = (r, fd, again) => (r.reported || []).filter(x => x.fd === fd && Boolean(x.again) === again).map(x => FLAGS.filter(f => x[f]).join('')).join('');

// Letters always stand in the same place, so that a column reads from top to bottom.
function flagCell(row, kind, flags, again) {
  const words = [];
  const marks = FLAGS.map(f => {
    const on = has(flags, f);
    const ghost = kind === 'reported' && !on && row.ghost && has(row.ready, f) && has(row.interest, f);
    if (on) {
      const what = has(again, f) ? 'again' : kind;
      words.push(t('src.k.' + what) + ': ' + t('flag.' + f));
      return h('b', { class: 'chip ' + what }, what === 'again' ? '↻' : kind === 'reported' ? '●' : '', f);
    }
    if (ghost) {
      words.push(t('src.k.ghost') + ': ' + t('flag.' + f));
      return h('b.chip.ghost', '✗', f);
    }
    return f === 'e' ? null : h('i.no', '·');
  });
  return [h('span.flags', { 'aria-hidden': 'true' }, marks), sr(joined(words.length ? words : [t('src.k.none')], 'say.comma'))];
}

function interestCell(row) {
  const letters = FLAGS.map(f => has(row.interest, f) ? h('b.want', f) : f === 'e' ? null : h('i.no', '·'));
  const words = FLAGS.filter(f => has(row.interest, f)).map(f => t('flag.' + f));
  return [h('span.flags', { 'aria-hidden': 'true' }, letters), sr(joined(words.length ? words : [t('src.k.none')], 'say.comma')),
    h('span.asked', row.armed === false ? t('src.disarmed') : row.asked || '–')];
}

function cell(label, content, extra) {
  return h('td', { role: 'cell', l: t(label), class: extra }, content);
}

function sourceRow(r, row) {
  const number = (label, value) => cell(label, shown(value), 'num' + (value && label !== 'src.deadline' ? ' some' : ''));
  return h('tr', { role: 'row', k: 's' + rowKey(row), class: row.ghost ? 'is-ghost' : null },
    h('th', { role: 'rowheader', scope: 'row' }, h('span.fd', row.fd),
      h('span.who', nameOf(r, row.fd),
        h('small', h('span.slot', { title: t('src.slot', { s: row.slot, g: row.gen }) }, mute(row.slot + ':' + row.gen), sr(t('src.slot', { s: row.slot, g: row.gen }))),
          row.peer || (row.role === 'listener' ? row.name : t('role.' + row.role))))),
    cell('src.interest', interestCell(row)),
    cell('src.ready', flagCell(row, 'ready', row.ready, '')),
    cell('src.reported', flagCell(row, 'reported', reportedAs(r, row.fd, false) + reportedAs(r, row.fd, true), reportedAs(r, row.fd, true))),
    number('src.rq', row.read_queue), number('src.wq', row.write_queue), number('src.buf', row.buffered),
    number('src.deadline', row.deadline_ms));
}

function ghostRow(row) {
  const key = has(row.ready, 'r') && row.read_queue ? 'src.ghost.read' : 'src.ghost.other';
  return h('tr', { role: 'row', k: 'g' + rowKey(row), class: 'ghost-why' },
    h('td', { role: 'cell', colspan: 8 }, h('b', t('src.ghost'), t('say.colon')),
      t(key, { fd: row.fd, n: shown(row.read_queue), trigger: t('trigger.' + ((state.hello || {}).trigger || 'edge')) })));
}

function drawSources(r) {
  const rows = sourcesOf(r), own = (r && r.sources || []).filter(row => row.slot === null);
  const head = (key, sub, extra) => h('th', { role: 'columnheader', scope: 'col', class: extra }, t(key), sub ? h('small', t(sub)) : null);
  const legend = [['ready', 'r', 'src.k.ready'], ['reported', '●r', 'src.k.reported'], ['again', '↻r', 'src.k.again'], ['ghost', '✗r', 'src.k.ghost']];
  fill($('sources'),
    h('h2', { id: 'sources-t' }, t('src.title'), past()),
    h('table', { role: 'table', class: 'sources' },
      h('caption.sr', t('src.caption')),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' },
        head('src.source', 'src.source.sub'), head('src.interest', 'src.interest.sub'), head('src.ready', 'src.ready.sub'), head('src.reported', 'src.reported.sub'),
        head('src.rq', 'src.rq.sub', 'num'), head('src.wq', 'src.wq.sub', 'num'), head('src.buf', 'src.buf.sub', 'num'), head('src.deadline', 'src.deadline.sub', 'num'))),
      h('tbody', { role: 'rowgroup' }, rows.map(row => [sourceRow(r, row), row.ghost ? ghostRow(row) : null]))),
    rows.length ? null : h('p.empty', t('src.empty')),
    own.length ? h('p.sub.own', t('src.own'), own.map(row => h('span', h('b', row.fd), ' ', row.name || t('role.' + row.role), reportedAs(r, row.fd, false) ? [' ', h('b.chip.reported', '●r'), sr(t('src.k.reported'))] : null))) : null,
    h('p.legend', h('span', t('src.legend')),
      legend.map(([kind, mark, key]) => h('span', h('b', { class: 'chip ' + kind, 'aria-hidden': 'true' }, mark), ' ', t(key)))));
}
// The program's sources. A descriptor of the loop itself has no slot.
const sourcesOf = r => (r && r.sources || []).filter(row => row.slot !== null).sort((a, b) => a.slot - b.slot);
const past = () => state.looked === null ? null : h('span.past', t('turn.n', { n: state.looked }));
