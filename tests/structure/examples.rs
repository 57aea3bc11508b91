//! The items that every program uses have an example, which the documentation tests run.

use std::path::Path;

use syn::{Attribute, Expr, Item, Lit, Meta};

use crate::crate_tree::CrateTree;

/// The types, traits and functions, by the module that defines them.
const ITEMS: &[(&str, &[&str])] = &[
    ("net::address", &["Address"]),
    ("net::close_reason", &["CloseReason"]),
    ("net::connect", &["Connect"]),
    ("net::connection", &["Connection"]),
    ("net::datagram", &["DatagramSocket"]),
    ("net::datagram_batch", &["DatagramBatch"]),
    ("net::datagram_endpoint", &["DatagramEndpoint"]),
    ("net::datagram_protocol", &["DatagramProtocol"]),
    ("net::datagram_wire", &["DatagramWire"]),
    ("net::filter", &["Filter"]),
    ("net::framing::delimited", &["Delimited"]),
    ("net::framing::frame_protocol", &["FrameProtocol"]),
    ("net::framing::frame_wire", &["FrameWire"]),
    ("net::framing::framed", &["Framed"]),
    ("net::framing::framing", &["Framing"]),
    ("net::framing::length_prefixed", &["LengthPrefixed"]),
    ("net::framing::lines", &["Lines"]),
    ("net::inherited", &["inherited"]),
    ("net::listener", &["Listener", "ListenerBuilder"]),
    ("net::loops::builder", &["LoopsBuilder"]),
    ("net::loops::handle", &["Loops"]),
    ("net::protocol", &["Protocol"]),
    ("net::resolve", &["resolve"]),
    ("net::retry", &["Retry"]),
    ("net::stream", &["Stream"]),
    ("net::testing", &["ProtocolTest"]),
    ("net::tls", &["TlsFilter"]),
    ("net::to_address", &["ToAddress"]),
    ("net::utf8", &["Utf8Decoder"]),
    ("net::watermarks", &["Watermarks"]),
    ("net::wire", &["Wire"]),
    ("pool", &["Pool"]),
    ("reactor::budget", &["Budget"]),
    ("reactor::clock", &["ManualClock"]),
    ("reactor::context", &["Context"]),
    ("reactor::counters", &["Counters"]),
    ("reactor::handle", &["ReactorHandle"]),
    ("reactor::handler", &["Handler", "Next"]),
    ("reactor::id", &["Id"]),
    ("reactor::probe", &["Probe"]),
    ("reactor::reactor", &["Reactor", "ReactorBuilder"]),
    ("reactor::source", &["Source"]),
    ("reactor::sources::channel", &["channel"]),
    ("reactor::sources::child", &["Child"]),
    ("reactor::sources::interval", &["Interval"]),
    ("reactor::sources::ping", &["Ping"]),
    ("reactor::sources::signals", &["Signals"]),
    ("selector::backend", &["Backend"]),
    ("selector::caps", &["Caps"]),
    ("selector::event", &["Trigger"]),
    ("server::concurrency::parked", &["Parked"]),
    ("server::server", &["Server"]),
];

#[test]
fn what_every_program_uses_has_an_example() {
    let tree = CrateTree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut missing = Vec::new();
    for (module, names) in ITEMS {
        let path: Vec<String> = module.split("::").map(str::to_owned).collect();
        let items = tree.modules.get(&path).map_or(&[][..], |module| &module.items);
        for name in *names {
            match items.iter().find_map(|item| docs_of(item, name)) {
                Some(docs) if has_example(&docs) => {}
                Some(_) => missing.push(format!("{module}::{name} has no example that runs")),
                None => missing.push(format!("{module}::{name} does not exist: mend the list")),
            }
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// Returns the documentation of an item, if it has this name.
fn docs_of(item: &Item, name: &str) -> Option<String> {
    let (ident, attributes) = match item {
        Item::Struct(item) => (&item.ident, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.attrs),
        Item::Trait(item) => (&item.ident, &item.attrs),
        Item::Type(item) => (&item.ident, &item.attrs),
        Item::Fn(item) => (&item.sig.ident, &item.attrs),
        _ => return None,
    };
    (ident == name).then(|| attributes.iter().filter_map(line).collect())
}

/// Returns a line of documentation.
fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(value) = &pair.value else { return None };
    match &value.lit {
        Lit::Str(text) if pair.path.is_ident("doc") => Some(format!("{}\n", text.value())),
        _ => None,
    }
}

/// Returns whether one of the blocks of code is compiled and run: its first line is a bare fence.
fn has_example(docs: &str) -> bool {
    let fences = docs.lines().map(str::trim).filter(|line| line.starts_with("```"));
    fences.step_by(2).any(|first| first == "```")
}

#[test]
fn an_item_without_an_example_that_runs_is_found() {
    let docs = |source: &str| docs_of(&syn::parse_str(source).unwrap(), "A").unwrap();
    assert!(has_example(&docs("/// Text.\n///\n/// ```\n/// let a = 1;\n/// ```\npub struct A;")));
    assert!(!has_example(&docs("/// Text.\npub struct A;")));
    assert!(!has_example(&docs("/// ```text\n/// a\n/// ```\npub enum A {}")));
    assert!(!has_example(&docs("/// ```no_run\n/// a();\n/// ```\npub trait A {}")));
}
