//! A kernel that refuses a system call, as sandboxes and old kernels do.

use std::io;

/// Makes the kernel answer each later call of this number with `errno`, on this thread and on those
/// that it starts. It cannot be undone, so the test needs a process of its own. Returns false where
/// that is not permitted.
#[allow(unsafe_code)]
#[must_use]
pub fn refuse(call: libc::c_long, errno: i32) -> bool {
    let number = u32::try_from(call).unwrap();
    let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
    let instruction = |code: u32, jt, k| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    // If the number of the call, which comes first in its description, is this one: the error.
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        instruction(libc::BPF_RET | libc::BPF_K, 0, answer),
    ];
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
