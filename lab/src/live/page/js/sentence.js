// One turn in words. `tripoll trace` makes the same sentence from the same record.

const AT_ONCE_NS = 1000000;
const MOST_CALLS = 4;
const listFds = fds => fds.length ? joined(fds.map(fd => t('say.fd', { fd })), 'say.and') : t('say.nothing');
const flagsOf = r => joined(['r', 'w', 'e'].filter(f => r[f]).map(f => t('flag.' + f)).concat(r.r || r.w || r.e ? [] : ['?']), 'say.and');

function act(call) {
  const values = { fd: call.fd, n: shown(call.result), what: call.what, error: call.error };
  const key = call.error === 'EAGAIN' || call.error === 'EWOULDBLOCK' ? 'again' : call.error ? 'error'
    : /^(accept|accept4)$/.test(call.what) ? 'accept'
    : /^(read|readv|recv|recvfrom)$/.test(call.what) ? call.result === 0 ? 'end' : 'read'
    : /^(write|writev|send|sendto)$/.test(call.what) ? 'write'
    : call.what === 'close' ? 'close' : 'other';
  if (key === 'accept') values.n = call.result;
  const text = call.text && (key === 'read' || key === 'write') ? ' ' + (lang === 'zh' ? '“' : '“') + cut(call.text.trim(), 24) + '”' : '';
  return t('act.' + key, values) + text;
}

function sentence(r) {
  const out = [];
  if (!r || !r.wait) return '';
  if (r.skipped) out.push(t('say.skipped', { n: count(r.skipped) }));
  const fresh = (r.reported || []).filter(x => !x.again);
  const again = (r.reported || []).filter(x => x.again);
  // A registration that has outlived its descriptor.
  const closed = (r.wait.raw || []).map(x => x.fd).filter(fd => !(r.reported || []).some(x => x.fd === fd));
  const list = fresh.length === 0 ? t(closed.length ? 'say.none-of-its' : 'say.nothing')
    : fresh.length > 3 ? t('say.many', { n: fresh.length, list: joined(fresh.map(x => String(x.fd)), 'say.comma') })
    : joined(fresh.map(x => t('say.what', { fd: x.fd, name: nameOf(r, x.fd), flags: flagsOf(x) })), 'say.and');
  out.push(t(r.wait.slept_ns < AT_ONCE_NS ? 'say.once' : 'say.slept', { t: r.t, call: r.wait.call, time: time(r.wait.slept_ns), list }));
  if (closed.length) out.push(t('say.closed', { list: listFds(closed) }));
  if (r.wait.nudged) out.push(t('say.nudged'));
  if (r.wait.error) out.push(t('say.failed', { error: r.wait.error }));
  if (again.length) out.push(t('say.again', { list: listFds(again.map(x => x.fd)) }));
  const calls = r.calls || [];
  if (calls.length) {
    const acts = calls.slice(0, MOST_CALLS).map(act);
    if (calls.length > MOST_CALLS) acts.push(t('say.more', { n: calls.length - MOST_CALLS }));
    out.push(t('say.handler', { acts: joined(acts, 'say.then') }));
  }
  for (const gone of r.gone || []) out.push(t('say.gone', { fd: gone.fd, why: known('why.' + gone.why) ? t('why.' + gone.why) : gone.why }));
  if (r.died) out.push(t('say.died', { error: r.died }));
  const ghosts = r.ghosts || [];
  if (ghosts.length === 1) {
    const row = rowOf(r, ghosts[0]) || {};
    out.push(t('say.ghost', { fd: ghosts[0], name: nameOf(r, ghosts[0]), n: shown(row.read_queue) }));
  } else if (ghosts.length) out.push(t('say.ghosts', { n: ghosts.length, list: listFds(ghosts) }));
  return out.join(lang === 'zh' ? '' : ' ');
}
