//! An `impl` for a box forwards every method. One that it forgets would do what the trait does by
//! default, and the boxed type would never be called.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::{ImplItem, Item, TraitItem, Type};

#[test]
fn boxes_forward_every_method_of_their_trait() {
    for (file, name) in [("reactor/handler.rs", "Handler"), ("net/protocol.rs", "Protocol")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
        let declared = file.items.iter().find_map(|item| match item {
            Item::Trait(item) if item.ident == name => Some(methods(item)),
            _ => None,
        });
        let forwarded = file.items.iter().find_map(|item| match item {
            Item::Impl(item) if is_box(&item.self_ty) => Some(
                item.items
                    .iter()
                    .filter_map(|item| match item {
                        ImplItem::Fn(method) => Some(method.sig.ident.to_string()),
                        _ => None,
                    })
                    .collect::<BTreeSet<_>>(),
            ),
            _ => None,
        });
        assert_eq!(declared.unwrap(), forwarded.unwrap(), "{name} for a box, in {path:?}");
    }
}

fn methods(item: &syn::ItemTrait) -> BTreeSet<String> {
    let name = |item: &TraitItem| match item {
        TraitItem::Fn(method) => Some(method.sig.ident.to_string()),
        _ => None,
    };
    item.items.iter().filter_map(name).collect()
}

fn is_box(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Box"))
}
