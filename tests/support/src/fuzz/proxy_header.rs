//! Headers of the PROXY protocol: one that is whole stays the same with more behind it, and is written to
//! what is parsed to the same.

use crate::protocols::proxy_header::{MAX_BINARY, Version, parse, write};

pub fn proxy_header(data: &[u8]) {
    let whole = parse(data);
    let Ok(Some((length, ends))) = whole else {
        if whole == Ok(None) {
            assert!(data.len() < MAX_BINARY, "it waits for ever");
        }
        return;
    };
    for cut in 0..length {
        assert_eq!(parse(&data[..cut]), Ok(None), "{cut} bytes");
    }
    assert_eq!(parse(&data[..length]), whole);
    for version in [Version::V1, Version::V2] {
        let written = write(version, ends);
        assert_eq!(parse(&written), Ok(Some((written.len(), ends))));
    }
}
