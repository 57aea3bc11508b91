//! Lines of a guest of a chat: however they are cut, the others and the guest read the same, and nothing
//! that acts on a terminal.

use crate::protocols::chat::Room;

/// What the others read, what the guest reads, and whether it stays.
fn talk(stream: &[u8], length: usize) -> (String, String, bool) {
    let mut room = Room::new();
    room.join(1);
    room.join(2);
    let (mut reply, mut unused, mut stays) = (Vec::new(), Vec::new(), true);
    for piece in stream.chunks(length) {
        unused.extend_from_slice(piece);
        let (used, goes_on) = room.receive(1, &unused, &mut reply);
        unused.drain(..used);
        stays = goes_on;
        if !stays {
            break;
        }
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&room.take_news()), text(&reply), stays)
}

/// The first byte says where the stream is cut.
pub fn chat(data: &[u8]) {
    let Some((&length, stream)) = data.split_first() else { return };
    let whole = talk(stream, stream.len().max(1));
    assert_eq!(talk(stream, usize::from(length).max(1)), whole);
    for text in [&whole.0, &whole.1] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
}
