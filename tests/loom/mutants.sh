#!/usr/bin/env bash
# Proves that the loom tests find faults. Each mutant below is one fault in the wake protocol or in the
# pool. It is made in a copy of the sources, and the named tests must fail there.
#
#   mutant FILE TESTS OLD NEW WHAT
#
# replaces OLD, which must occur in FILE exactly once, by NEW. TESTS is the filter of the test runner.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$root"/{Cargo.toml,Cargo.lock,src,tests,examples,lab,benches} "$copy"
found=0 missed=0

run_tests() {
    RUSTFLAGS="--cfg loom -Aunused" RUST_BACKTRACE=0 CARGO_TARGET_DIR="$root/target/loom-mutants" \
        timeout 300 cargo test --quiet --offline --manifest-path "$copy/Cargo.toml" -p tripoll-loom "$@"
}

mutant() {
    local file=$1 tests=$2 old=$3 new=$4 what=$5 source rest
    source=$(cat "$root/$file" && printf .)
    rest=${source#*"$old"}
    if [ "$rest" = "$source" ] || [ "${rest#*"$old"}" != "$rest" ]; then
        echo "$file does not have exactly once: $old" >&2
        exit 2
    fi
    source=${source/"$old"/"$new"}
    printf %s "${source%.}" >"$copy/$file"
    if ! run_tests --no-run >"$copy/log" 2>&1; then
        cat "$copy/log" >&2
        exit 2
    fi
    if run_tests "$tests" >"$copy/log" 2>&1; then
        echo "MISSED  $what ($tests)"
        missed=$((missed + 1))
    else
        echo "found   $what ($tests)"
        found=$((found + 1))
    fi
    cp "$root/$file" "$copy/$file"
}

handle=src/reactor/handle.rs turn=src/reactor/turn.rs
queue=src/pool/queue.rs pool=src/pool/mod.rs
ping=src/reactor/sources/ping.rs

# The wake protocol.
mutant $handle the_jobs_of_two_threads \
    'if self.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP {' \
    'let state = self.state.load(Ordering::Acquire);
        self.state.store(NOTIFIED, Ordering::Release);
        if state == ASLEEP {' \
    'a wake reads the state and sets it in two steps'
mutant $handle the_jobs_of_two_threads \
    'self.state.swap(AWAKE, Ordering::AcqRel);
        if let Some(posted) = &mut self.inbox().jobs {
            match jobs.is_empty() {
                true => std::mem::swap(jobs, posted),
                false => jobs.append(posted),
            }
        }' \
    'if let Some(posted) = &mut self.inbox().jobs {
            jobs.append(posted);
        }
        self.state.swap(AWAKE, Ordering::AcqRel);' \
    'AWAKE is set after the jobs were taken'
mutant $handle the_jobs_of_two_threads \
    'let state = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);' \
    'let state: Result<u8, u8> = Ok(self.state.swap(ASLEEP, Ordering::AcqRel));' \
    'the loop goes to sleep from NOTIFIED'
mutant $handle the_jobs_of_two_threads \
    'state == NOTIFIED' \
    'false' \
    'a wake before the sleep is not handled'
mutant $handle the_jobs_of_two_threads \
    'let mut inbox = self.inbox();
        let Some(jobs) = &mut inbox.jobs else {
            drop(inbox); // before the job: it may own a handle
            return Err(reactor_dropped());
        };
        jobs.push_back(job);
        if self.state.load(Ordering::Acquire) == NOTIFIED {
            inbox.wakes_saved += 1;
        } else {
            drop(inbox);
            self.wake();
        }' \
    'self.wake();
        let mut inbox = self.inbox();
        let Some(jobs) = &mut inbox.jobs else {
            drop(inbox); // before the job: it may own a handle
            return Err(reactor_dropped());
        };
        jobs.push_back(job);' \
    'a job is stored after the wake'
mutant $handle the_jobs_of_two_threads \
    'drop(inbox);
            self.wake();' \
    'drop(inbox);' \
    'a post does not wake'
mutant $handle the_jobs_of_two_threads \
    'let mut inbox = self.inbox();
        let Some(jobs) = &mut inbox.jobs else {
            drop(inbox); // before the job: it may own a handle
            return Err(reactor_dropped());
        };
        jobs.push_back(job);
        if self.state.load(Ordering::Acquire) == NOTIFIED {
            inbox.wakes_saved += 1;
        } else {
            drop(inbox);
            self.wake();
        }' \
    'let is_notified = self.state.load(Ordering::Acquire) == NOTIFIED;
        let mut inbox = self.inbox();
        let Some(jobs) = &mut inbox.jobs else {
            drop(inbox); // before the job: it may own a handle
            return Err(reactor_dropped());
        };
        jobs.push_back(job);
        if is_notified {
            inbox.wakes_saved += 1;
        } else {
            drop(inbox);
            self.wake();
        }' \
    'a post reads the state before it has the lock'
mutant $handle two_stops \
    'self.wake_state.stop();
        self.wake_state.wake();' \
    'self.wake_state.stop();' \
    'a stop does not wake'
mutant $handle two_stops \
    'self.wake_state.stop();
        self.wake_state.wake();' \
    'self.wake_state.wake();
        self.wake_state.stop();' \
    'a stop wakes before it is set'
mutant $turn end_of_a_sleep \
    'self.core.wake_state.waker().clear();
                self.expect_jobs();' \
    'self.core.wake_state.waker().clear();' \
    'an event of the waker is not handled'
mutant $turn another_loop_polls \
    'if has_work || !self.core.wake_state.prepare_to_sleep() {' \
    'if has_work {' \
    'another loop polls a loop that is not asleep'
mutant $handle before_the_waker_is_renewed \
    'self.state.swap(NOTIFIED, Ordering::AcqRel);
        Ok(())' \
    'Ok(())' \
    'a renewed waker forgets what was posted'
mutant $handle although_the_waker_is_renewed \
    'self.state.swap(NOTIFIED, Ordering::AcqRel);
        Ok(())' \
    'self.state.store(NOTIFIED, Ordering::Release);
        Ok(())' \
    'a renewed waker does not read the state that it replaces'
mutant $handle dropped_loop \
    'let left = self.inbox().jobs.take();' \
    'let left = self.inbox().jobs.as_mut().map(std::mem::take);' \
    'a dropped reactor accepts jobs'

# The pool.
mutant $pool reservation \
    'self.queue.fill(Box::new(move |_| job()))' \
    'let filled = self.queue.fill(Box::new(move |_| job()));
        self.queue.release();
        filled' \
    'a reservation is released twice'
mutant $queue dropped_reservation \
    'if state.has_capacity(self.capacity) {
            self.notify_capacity(state);' \
    'if state.jobs() > self.capacity {
            self.notify_capacity(state);' \
    'the release of a reservation wakes no waiter'
mutant $queue jobs_that_wait \
    'if state.is_capacity_awaited() {' \
    'if state.is_capacity_awaited() && state.working > state.jobs() {' \
    'the end of a job wakes no waiter'
mutant $queue jobs_that_wait \
    'state.blocked += 1;
            (state, _) = wait_until(&self.changed, state, None);' \
    '(state, _) = wait_until(&self.changed, state, None);
            state.blocked += 1;' \
    'a blocked thread is counted after its wait'
mutant $queue each_job_wakes \
    'state.woken = state.woken.saturating_sub(1);' \
    '' \
    'a wake of a worker counts for ever'
mutant $queue a_drain_waits \
    'self.has_job.notify_all();' \
    '' \
    'a drain does not wake the workers'
mutant $queue a_drain_refuses \
    'self.has_job.notify_all();
        self.changed.notify_all();' \
    'self.has_job.notify_all();' \
    'a drain does not wake blocked threads'
mutant $queue queued_job \
    'if !dropped.is_empty() {
            self.notify_capacity(state);
        }' \
    'drop(state);' \
    'dropped jobs wake no waiter'
mutant $queue drain_their_own \
    'while state.jobs() > exempt(&state) && state.draining_workers < self.workers {' \
    'while state.jobs() > 0 {' \
    'a worker that drains waits for itself'

# Pings.
mutant $ping the_pings_of_two_threads \
    'self.shared.event_fd.clear();
        match self.shared.is_pinged.swap(false, Ordering::AcqRel) {' \
    'let was_pinged = self.shared.is_pinged.swap(false, Ordering::AcqRel);
        self.shared.event_fd.clear();
        match was_pinged {' \
    'the descriptor is cleared after the mark of a ping'
mutant $ping the_pings_of_two_threads \
    'if !self.shared.is_pinged.swap(true, Ordering::AcqRel) {' \
    'if !self.shared.is_pinged.swap(true, Ordering::Relaxed) {' \
    'what was done before a ping is not visible after it'

echo "$((found + missed)) mutants: $found found, $missed missed"
[ "$missed" = 0 ]
