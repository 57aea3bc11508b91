//! Bytes that are sent without a copy.

use std::fmt;
use std::sync::Arc;

/// Bytes that [`Wire::send`](super::Wire::send) takes as they are, without a copy: owned, shared or
/// static.
///
/// ```
/// use std::sync::Arc;
/// use tripoll::net::Chunk;
///
/// let owned = Chunk::from(vec![1, 2, 3]);
/// let shared = Chunk::from(Arc::<[u8]>::from([1, 2, 3]));
/// let fixed = Chunk::from("text");
/// assert_eq!(owned.as_ref(), shared.as_ref());
/// assert_eq!(fixed.as_ref(), b"text");
/// ```
#[derive(Clone)]
pub struct Chunk(Bytes);

#[derive(Clone)]
enum Bytes {
    Owned(Vec<u8>),
    Shared(Arc<[u8]>),
    SharedVec(Arc<Vec<u8>>),
    Static(&'static [u8]),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Owned(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
            Bytes::SharedVec(bytes) => bytes,
            Bytes::Static(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Chunk(Bytes::Owned(bytes))
    }
}

impl From<String> for Chunk {
    fn from(text: String) -> Self {
        Chunk::from(text.into_bytes())
    }
}

impl From<Arc<[u8]>> for Chunk {
    /// Shares the bytes: each of many connections can be sent a clone of the same `Arc`.
    fn from(bytes: Arc<[u8]>) -> Self {
        Chunk(Bytes::Shared(bytes))
    }
}

impl From<Arc<Vec<u8>>> for Chunk {
    /// Shares the bytes, as those of an `Arc<[u8]>`.
    fn from(bytes: Arc<Vec<u8>>) -> Self {
        Chunk(Bytes::SharedVec(bytes))
    }
}

impl From<&'static [u8]> for Chunk {
    fn from(bytes: &'static [u8]) -> Self {
        Chunk(Bytes::Static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Chunk {
    fn from(bytes: &'static [u8; N]) -> Self {
        Chunk(Bytes::Static(bytes))
    }
}

impl From<&'static str> for Chunk {
    fn from(text: &'static str) -> Self {
        Chunk(Bytes::Static(text.as_bytes()))
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.as_ref().len())
    }
}
