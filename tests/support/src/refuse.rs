//! A kernel that refuses a system call, as sandboxes and old kernels do.

use std::io;

/// Makes the kernel answer each later call of this number with `errno`, on this thread and on those
/// that it starts. It cannot be undone, so the test needs a process of its own, or a thread. Returns
/// false where that is not permitted.
#[must_use]
pub fn refuse(call: libc::c_long, errno: i32) -> bool {
    refuse_when(call, &[], errno)
}

/// As [`refuse`], but only for calls whose arguments have these values: each is the number of the
/// argument, and its lower 32 bits.
#[allow(unsafe_code)]
#[must_use]
pub fn refuse_when(call: libc::c_long, arguments: &[(u32, u32)], errno: i32) -> bool {
    let instruction = |code: u32, jf, k| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    // The description of the call begins with its number. Its arguments have 8 bytes each.
    let place = |argument: u32| 16 + 8 * argument + if cfg!(target_endian = "big") { 4 } else { 0 };
    let arguments = arguments.iter().map(|&(argument, value)| (place(argument), value));
    let conditions: Vec<_> =
        [(0, u32::try_from(call).unwrap())].into_iter().chain(arguments).collect();
    let mut filter = Vec::new();
    for (index, &(place, value)) in conditions.iter().enumerate() {
        let to_the_end = 2 * (conditions.len() - index) - 1;
        filter.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, place));
        let is_equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        filter.push(instruction(is_equal, to_the_end as u8, value));
    }
    let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
    for k in [answer, libc::SECCOMP_RET_ALLOW] {
        filter.push(instruction(libc::BPF_RET | libc::BPF_K, 0, k));
    }
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: both calls take numbers; `program` and the filter that it points to outlive the second.
    let is_permitted = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if !is_permitted {
        println!("skipped: seccomp: {}", io::Error::last_os_error());
    }
    is_permitted
}
