//! Parsers of the values that several commands take.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tripoll::{Backend, Trigger};

use crate::workload::Layer;

pub(super) fn count_parser() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..)
}

/// Returns a parser for the name of one of `all`.
pub(super) fn name_parser<T: Copy + Send + Sync + 'static>(
    all: impl IntoIterator<Item = T>,
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let all: Vec<T> = all.into_iter().collect();
    PossibleValuesParser::new(all.iter().map(|&one| name(one))).map(move |given| {
        *all.iter().find(|&&one| name(one) == given).expect("the parser takes no other name")
    })
}

pub(super) fn backend_parser() -> impl TypedValueParser<Value = Backend> {
    name_parser(Backend::ALL.iter().copied(), Backend::name)
}

pub(super) fn layer_parser(
    among: impl IntoIterator<Item = Layer>,
) -> impl TypedValueParser<Value = Layer> {
    name_parser(among, Layer::name)
}

pub(super) fn trigger_parser() -> impl TypedValueParser<Value = Trigger> {
    name_parser(Trigger::ALL.iter().copied(), Trigger::name)
}
