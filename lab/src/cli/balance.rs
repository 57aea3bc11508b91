//! `tripoll balance`: the descriptors that it needs, and the report.

use tripoll::sys;

use super::failure::Failure;
use super::output::print;
use crate::balance::Balance;

pub(super) fn run(balance: Balance) -> Result<(), Failure> {
    // Each connection that stays has two, and by chance there are more than on average.
    let needed = (balance.connections / balance.one_stays_of * 3 + 200) as u64;
    let limit = sys::raise_descriptor_limit(needed)?;
    if limit.soft < needed {
        return Err(Failure::Usage(format!(
            "--connections {} of which one of {} stays need about {needed} descriptors, and the \
             limit is {} (ulimit -n)",
            balance.connections, balance.one_stays_of, limit.soft
        )));
    }
    print(&balance.run()?.to_string())
}
