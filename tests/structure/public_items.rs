//! The public items of the library are those of `public_items.txt`.
//!
//! A change of the list is a change of the public interface, which the list shows in a review. Types
//! are listed as the sources write them. Whether a type is `Send` or `Sync` only a compiler knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, Signature, TraitItem, Type, Visibility};

use crate::code::code;
use crate::crate_tree::{CrateTree, ModulePath, Target, attributes, bitflags, child_path, names};

/// Set to anything, it has the test write the list instead.
const BLESS: &str = "TRIPOLL_BLESS";

#[test]
fn the_public_items_are_those_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/structure/public_items.txt");
    let items = public_items("tripoll", &CrateTree::read(&root.join("src")));
    let text: String = items.iter().map(|item| format!("{item}\n")).collect();
    if env::var_os(BLESS).is_some() {
        fs::write(&file, &text).unwrap();
    }
    let list = fs::read_to_string(&file).unwrap_or_default();
    let difference = difference(&list, &text);
    assert!(
        difference.is_empty(),
        "the public items have changed:\n{difference}If that is meant, write the list anew, and \
         mention the change in CHANGELOG.md:\n    {BLESS}=1 cargo test --test structure \
         public_items\n"
    );
}

/// Returns the lines of one text that the other does not have.
fn difference(list: &str, found: &str) -> String {
    let (list, found): (BTreeSet<_>, BTreeSet<_>) =
        (list.lines().collect(), found.lines().collect());
    let gone = list.difference(&found).map(|line| format!("- {line}\n"));
    let new = found.difference(&list).map(|line| format!("+ {line}\n"));
    gone.chain(new).collect()
}

/// An item, by its module and its name.
type Key = (ModulePath, String);

struct Found<'a> {
    tree: &'a CrateTree,
    /// The public paths of each item, with the attributes of its re-export as they are listed.
    paths: BTreeMap<Key, Vec<(String, String)>>,
    /// The lines, by what they are sorted by.
    lines: BTreeSet<(String, String)>,
}

/// Returns the public items of a crate, one a line, sorted by their paths.
fn public_items(name: &str, tree: &CrateTree) -> Vec<String> {
    let mut found = Found { tree, paths: BTreeMap::new(), lines: BTreeSet::new() };
    found.walk(&[], name);
    found.list_items();
    found.list_impls();
    found.lines.into_iter().map(|(_, line)| line).collect()
}

impl<'a> Found<'a> {
    /// Collects the public items of a public module.
    fn walk(&mut self, module: &[String], path: &str) {
        let tree = self.tree;
        for item in &tree.modules[module].items {
            if is_hidden(attributes(item)) {
                continue;
            }
            if let Item::Mod(child) = item
                && is_public(&child.vis)
            {
                let name = child.ident.to_string();
                let head = shown(attributes(item)) + "pub mod ";
                self.line(&format!("{path}::{name}"), &head, "");
                self.walk(&child_path(module, &name), &format!("{path}::{name}"));
            }
            for name in public_names(item) {
                self.add((module.to_vec(), name.clone()), format!("{path}::{name}"), &[]);
            }
        }
        for used in tree.modules[module].uses.iter().filter(|used| used.is_public) {
            if is_hidden(&used.attributes) {
                continue;
            }
            match tree.resolve(module, &used.path).target {
                Target::Item(defined, name) => {
                    let path = format!("{path}::{}", used.name);
                    self.add((defined, name), path, &used.attributes);
                }
                Target::Outside => {
                    let (path, meaning) = (format!("{path}::{}", used.name), used.path.join("::"));
                    let head = shown(&used.attributes) + "pub use ";
                    self.line(&path, &head, &format!(" = {meaning}"));
                }
                other => panic!("{path}: the list has no word for a re-export of {other:?}"),
            }
        }
    }

    fn add(&mut self, key: Key, path: String, attributes: &[Attribute]) {
        self.paths.entry(key).or_default().push((path, shown(attributes)));
    }

    /// Returns the path under which an item is listed: below the module that defines it, if there
    /// is one, and else the shortest.
    fn main_path(&self, key: &Key) -> Option<&str> {
        let shared = |path: &str| {
            let names: Vec<_> = path.split("::").skip(1).collect();
            let below = &names[..names.len() - 1];
            let is_around = key.0.iter().map(String::as_str).collect::<Vec<_>>().starts_with(below);
            if is_around { below.len() + 1 } else { 0 }
        };
        let paths = self.paths.get(key)?.iter().map(|(path, _)| path.as_str());
        paths.max_by_key(|path| (shared(path), std::cmp::Reverse(path.len())))
    }

    fn line(&mut self, path: &str, before: &str, after: &str) {
        self.lines.insert((path.to_owned(), format!("{before}{path}{after}")));
    }

    fn list_items(&mut self) {
        for (key, paths) in self.paths.clone() {
            let main = self.main_path(&key).expect("the item is public").to_owned();
            for (path, shown) in paths {
                if path != main {
                    self.line(&path, &format!("{shown}pub use "), &format!(" = {main}"));
                    continue;
                }
                let items = &self.tree.modules[&key.0].items;
                for item in items.iter().filter(|item| public_names(item).contains(&key.1)) {
                    self.list_item(item, &key.1, &path, shown.clone());
                }
            }
        }
    }

    /// `head` is what stands before the item: the attributes of its re-export.
    fn list_item(&mut self, item: &Item, name: &str, path: &str, mut head: String) {
        head += &shown(attributes(item));
        self.list_derives(attributes(item), path);
        match item {
            Item::Const(item) => {
                self.line(path, &(head + "pub const "), &after(":", &item.ty));
            }
            Item::Static(item) => {
                self.line(path, &(head + "pub static "), &after(":", &item.ty));
            }
            Item::Type(item) => {
                let meaning = code(&item.generics) + &after(" =", &item.ty);
                self.line(path, &(head + "pub type "), &meaning);
            }
            Item::Fn(item) => self.list_function(&item.sig, head, path, ""),
            Item::Struct(item) => {
                self.line(path, &(head + "pub struct "), &generics(&item.generics));
                self.list_fields(&item.fields, path);
            }
            Item::Enum(item) => {
                self.line(path, &(head + "pub enum "), &generics(&item.generics));
                for variant in item.variants.iter().filter(|variant| !is_hidden(&variant.attrs)) {
                    let path = format!("{path}::{}", variant.ident);
                    self.line(&path, &shown(&variant.attrs), &fields(&variant.fields));
                }
            }
            Item::Trait(item) => {
                let head_end = generics(&item.generics) + &bounds(&item.supertraits);
                self.line(path, &(head + "pub trait "), &head_end);
                item.items.iter().for_each(|item| self.list_trait_item(item, path));
            }
            Item::Macro(item) => {
                let flags = bitflags(item).into_iter().find(|flags| flags.name == name);
                let flags = flags.expect("the macro defines this name");
                self.list_derives(&flags.attributes, path);
                head += &shown(&flags.attributes);
                self.line(path, &(head + "pub struct "), &after(": bitflags", &flags.repr));
                for flag in flags.flags {
                    self.line(&format!("{path}::{flag}"), "pub const ", "");
                }
            }
            _ => {}
        }
    }

    fn list_fields(&mut self, fields: &Fields, path: &str) {
        for (position, field) in fields.iter().enumerate() {
            if is_public(&field.vis) && !is_hidden(&field.attrs) {
                let position = position.to_string();
                let name = field.ident.as_ref().map_or(position, ToString::to_string);
                let path = format!("{path}::{name}");
                self.line(&path, &(shown(&field.attrs) + "pub "), &after(":", &field.ty));
            }
        }
    }

    fn list_trait_item(&mut self, item: &TraitItem, path: &str) {
        match item {
            TraitItem::Fn(item) if !is_hidden(&item.attrs) => {
                let body = if item.default.is_some() { " { .. }" } else { "" };
                let path = format!("{path}::{}", item.sig.ident);
                self.list_function(&item.sig, shown(&item.attrs), &path, body);
            }
            TraitItem::Type(item) if !is_hidden(&item.attrs) => {
                let path = format!("{path}::{}", item.ident);
                self.line(&path, &(shown(&item.attrs) + "pub type "), &bounds(&item.bounds));
            }
            TraitItem::Const(item) if !is_hidden(&item.attrs) => {
                let path = format!("{path}::{}", item.ident);
                self.line(&path, &(shown(&item.attrs) + "pub const "), &after(":", &item.ty));
            }
            _ => {}
        }
    }

    fn list_function(&mut self, signature: &Signature, head: String, path: &str, end: &str) {
        let text = code(&without_patterns(signature.clone()));
        let name = format!("fn {}", signature.ident);
        let (before, after) = text.split_once(&name).expect("a function has its name");
        self.line(path, &format!("{head}pub {before}fn "), &format!("{after}{end}"));
    }

    fn list_derives(&mut self, outer: &[Attribute], path: &str) {
        for attribute in outer.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            let _ = attribute.parse_nested_meta(|derived| {
                let name = derived.path.segments.last().map(|last| last.ident.to_string());
                self.implement(&name.unwrap_or_default(), "", path);
                Ok(())
            });
        }
    }

    fn implement(&mut self, name: &str, generics: &str, path: &str) {
        let line = format!("impl{generics} {name} for {path}");
        self.lines.insert((format!("{path} impl"), line));
    }

    /// Lists the methods of public types, and which traits they implement.
    fn list_impls(&mut self) {
        let tree = self.tree;
        for (module, item) in tree
            .modules
            .iter()
            .flat_map(|(path, module)| module.items.iter().map(move |item| (path, item)))
        {
            let Item::Impl(block) = item else { continue };
            if is_hidden(&block.attrs) {
                continue;
            }
            let Some(self_path) = self.public_path(module, &block.self_ty) else { continue };
            if let Some((trait_path, _)) = &block.trait_ {
                if !self.is_public_trait(module, trait_path) {
                    continue;
                }
                let last = trait_path.segments.last().expect("a trait has a name");
                self.implement(&code(last), &code(&block.generics), &self_path);
                continue;
            }
            for item in &block.items {
                match item {
                    ImplItem::Fn(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
                        let path = format!("{self_path}::{}", item.sig.ident);
                        self.list_function(&item.sig, shown(&item.attrs), &path, "");
                    }
                    ImplItem::Const(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
                        let path = format!("{self_path}::{}", item.ident);
                        self.line(
                            &path,
                            &(shown(&item.attrs) + "pub const "),
                            &after(":", &item.ty),
                        );
                    }
                    _ => {}
                }
            }
        }
    }

    /// Returns how a type is listed that is public or from another crate.
    fn public_path(&self, module: &[String], of: &Type) -> Option<String> {
        let Type::Path(written) = of else { return Some(code(of)) };
        match self.tree.resolve(module, &names(&written.path)).target {
            Target::Item(module, name) => {
                let arguments = &written.path.segments.last()?.arguments;
                Some(format!("{}{}", self.main_path(&(module, name))?, code(arguments)))
            }
            _ => Some(code(of)),
        }
    }

    fn is_public_trait(&self, module: &[String], path: &syn::Path) -> bool {
        match self.tree.resolve(module, &names(path)).target {
            Target::Item(module, name) => self.paths.contains_key(&(module, name)),
            _ => true,
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Returns whether the documentation leaves an item out.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "hidden")
    })
}

/// Returns the attributes that belong to the interface, as they are listed.
fn shown(attributes: &[Attribute]) -> String {
    let is_shown = |attribute: &&Attribute| {
        let path = attribute.path();
        ["non_exhaustive", "must_use", "deprecated"].iter().any(|name| path.is_ident(name))
            || path.is_ident("cfg") && code(attribute).contains("feature")
    };
    let shown = attributes.iter().filter(is_shown);
    shown.map(|attribute| format!("#[{}] ", code(&attribute.meta))).collect()
}

/// Returns the names of what is public in an item, in its module.
fn public_names(item: &Item) -> Vec<String> {
    let (visibility, name) = match item {
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        Item::Macro(item) => {
            let public = bitflags(item).into_iter().filter(|flags| is_public(&flags.visibility));
            return public.map(|flags| flags.name).collect();
        }
        _ => return Vec::new(),
    };
    if is_public(visibility) { vec![name.to_string()] } else { Vec::new() }
}

/// Returns `tokens` after a word or sign.
fn after(sign: &str, tokens: &impl ToTokens) -> String {
    format!("{sign} {}", code(tokens))
}

/// Returns bounds after a colon, if there are any.
fn bounds(bounds: &impl ToTokens) -> String {
    let text = code(bounds);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// Returns the parameters of a type, with their bounds.
fn generics(generics: &syn::Generics) -> String {
    let condition = generics.where_clause.as_ref().map(|clause| after("", clause));
    format!("{}{}", code(generics), condition.unwrap_or_default())
}

/// Returns the fields of a variant.
fn fields(fields: &Fields) -> String {
    let listed: Vec<_> = fields
        .iter()
        .map(|field| match &field.ident {
            Some(name) => format!("{name}: {}", code(&field.ty)),
            None => code(&field.ty),
        })
        .collect();
    match fields {
        Fields::Unit => String::new(),
        Fields::Unnamed(_) => format!("({})", listed.join(", ")),
        Fields::Named(_) => format!(" {{ {} }}", listed.join(", ")),
    }
}

/// Returns a signature without the `mut` of its parameters, which only its body sees.
fn without_patterns(mut signature: Signature) -> Signature {
    for input in &mut signature.inputs {
        match input {
            syn::FnArg::Receiver(receiver) => receiver.mutability = None,
            syn::FnArg::Typed(typed) => {
                if let syn::Pat::Ident(name) = &mut *typed.pat {
                    name.mutability = None;
                }
            }
        }
    }
    signature
}

/// Returns the list of a crate `it` with this root.
fn items_of(root: &str) -> Vec<String> {
    let sources = BTreeMap::from([("lib.rs".to_owned(), root.to_owned())]);
    public_items("it", &CrateTree::parse(&sources))
}

#[test]
fn private_and_hidden_items_are_not_listed() {
    let root = "
        mod inner {
            pub struct Unreachable;
            impl Unreachable { pub fn f(&self) {} }
            impl Clone for Unreachable { fn clone(&self) -> Self { Unreachable } }
            pub trait Sealed {}
        }
        pub(crate) struct Internal;
        #[doc(hidden)] pub struct Hidden;
        pub struct Public { private: u8, pub(crate) internal: u8 }
        impl Public { fn private(&self) {} #[doc(hidden)] pub fn hidden(&self) {} }
        impl inner::Sealed for Public {}
        #[cfg(test)] pub fn for_tests() {}
    ";
    assert_eq!(items_of(root), ["pub struct it::Public"]);
}

#[test]
fn an_item_is_listed_where_it_can_be_named() {
    let root = "
        pub mod outer {
            mod inner {
                #[derive(Debug)] pub struct A<T: Copy> { pub field: T }
                impl<T: Copy> A<T> { pub fn get(mut self) -> T { self.field } }
            }
            pub use inner::A;
        }
        #[cfg(feature = \"extra\")] pub use outer::A as B;
        mod other { pub struct C; }
        #[cfg(feature = \"extra\")] pub use other::C;
    ";
    let list = [
        r#"#[cfg(feature = "extra")] pub use it::B = it::outer::A"#,
        r#"#[cfg(feature = "extra")] pub struct it::C"#,
        "pub mod it::outer",
        "pub struct it::outer::A<T: Copy>",
        "impl Debug for it::outer::A",
        "pub it::outer::A::field: T",
        "pub fn it::outer::A<T>::get(self) -> T",
    ];
    assert_eq!(items_of(root), list);
}

#[test]
fn the_parts_of_items_are_listed() {
    let root = "
        pub trait T<S = ()>: Send { type X; fn must(&self); fn may(&self) {} }
        #[non_exhaustive] pub enum E { One, Two(u8), Three { of: u8 } }
        bitflags! { #[derive(Clone)] pub struct F: u8 { const READ = 1; const WRITE = 2; } }
        pub const LIMIT: usize = 1;
        pub type Short<X> = Long<X, u8>;
        impl T for Box<E> { type X = (); fn must(&self) {} }
    ";
    let list = [
        "impl T for Box<E>",
        "#[non_exhaustive] pub enum it::E",
        "it::E::One",
        "it::E::Three { of: u8 }",
        "it::E::Two(u8)",
        "pub struct it::F: bitflags u8",
        "impl Clone for it::F",
        "pub const it::F::READ",
        "pub const it::F::WRITE",
        "pub const it::LIMIT: usize",
        "pub type it::Short<X> = Long<X, u8>",
        "pub trait it::T<S = ()>: Send",
        "pub type it::T::X",
        "pub fn it::T::may(&self) { .. }",
        "pub fn it::T::must(&self)",
    ];
    assert_eq!(items_of(root), list);
}

#[test]
fn a_changed_signature_is_shown_as_gone_and_new() {
    let before = items_of("pub fn f(a: u8) {} pub fn g() {}").join("\n");
    let after = items_of("pub fn f(a: u16) {} pub fn g() {}").join("\n");
    let expected = "- pub fn it::f(a: u8)\n+ pub fn it::f(a: u16)\n";
    assert_eq!(difference(&before, &after), expected);
    assert_eq!(difference(&before, &before), "");
}
