//! The imports between the files of the library and of the lab.
//!
//! * Files import each other in circles only where [`CIRCLES`] says why.
//! * A layer imports from the layers below it.
//! * Inside a module, a file imports from the file that defines: the re-exports in `mod.rs` are for
//!   other modules. Otherwise a circle through `mod.rs` would not be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::crate_tree::{CrateTree, Target, names};

/// The circles that stay, and why.
const CIRCLES: &[(&[&str], &str)] = &[
    (
        &[
            "reactor/context.rs",
            "reactor/core.rs",
            "reactor/handle.rs",
            "reactor/handler.rs",
            "reactor/id.rs",
        ],
        "a handler is called with the context, through which it adds handlers, tells them something \
         by their ids, and posts jobs",
    ),
    (
        &[
            "server/base.rs",
            "server/concurrency/mod.rs",
            "server/handler/mod.rs",
            "server/hooks.rs",
        ],
        "a hook is called with the server and can replace what the server does, as in Python",
    ),
];

/// The library's modules, from the lowest layer to the highest.
const LAYERS: &[&[&str]] =
    &[&["sync", "sys"], &["selector"], &["reactor"], &["pool"], &["net"], &["server", "metrics"]];

/// The lab's.
const LAB_LAYERS: &[&[&str]] = &[
    &["workload", "load"],
    &["balance", "check", "compare", "live", "slides", "soak"],
    &["study"],
    &["cli"],
];

#[test]
fn the_library_imports_downwards_and_in_no_unknown_circle() {
    assert_clean(&check(&CrateTree::read(&root().join("src")), LAYERS, CIRCLES));
}

#[test]
fn the_lab_imports_downwards_and_in_no_circle() {
    assert_clean(&check(&CrateTree::read(&root().join("lab/src")), LAB_LAYERS, &[]));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_clean(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// An import of one file from another.
struct Import {
    from: String,
    to: String,
    /// As it is written.
    path: String,
    /// The re-export of an enclosing module through which it goes.
    detour: Option<String>,
}

/// Returns what is wrong with the imports of a crate, one complaint each.
fn check(tree: &CrateTree, layers: &[&[&str]], known: &[(&[&str], &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let imports = imports(tree, &mut complaints);
    check_layers(&imports, layers, &mut complaints);
    for Import { from, to, path, detour } in &imports {
        if let Some(detour) = detour {
            complaints.push(format!(
                "{from} imports `{path}` through {detour}, inside the same module: import it from \
                 {to}, which defines it"
            ));
        }
    }
    check_circles(&imports, known, &mut complaints);
    complaints
}

fn check_layers(imports: &[Import], layers: &[&[&str]], complaints: &mut Vec<String>) {
    let module = |file: &str| file.split(['/', '.']).next().unwrap_or_default().to_owned();
    let layer = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    for Import { from, to, path, .. } in imports {
        let (above, below) = (module(from), module(to));
        if above == below || above == "lib" {
            continue;
        }
        match (layer(&above), layer(&below)) {
            (Some(upper), Some(lower)) if upper > lower => {}
            (Some(_), Some(_)) => complaints.push(format!(
                "{from} imports `{path}` from {to}: `{below}` is not below `{above}`"
            )),
            (upper, _) => {
                let unknown = if upper.is_none() { above } else { below };
                complaints.push(format!("{from} imports `{path}`: `{unknown}` is in no layer"));
            }
        }
    }
}

fn check_circles(imports: &[Import], known: &[(&[&str], &str)], complaints: &mut Vec<String>) {
    let mut listed: Vec<_> = known.iter().map(|(files, _)| files.to_vec()).collect();
    for circle in circles(imports) {
        if let Some(position) = listed.iter().position(|files| *files == circle) {
            listed.remove(position);
            continue;
        }
        let is_inside = |import: &&Import| {
            circle.contains(&import.from.as_str()) && circle.contains(&import.to.as_str())
        };
        let arrows: Vec<_> = imports
            .iter()
            .filter(is_inside)
            .map(|import| {
                format!("    {} imports `{}` from {}", import.from, import.path, import.to)
            })
            .collect();
        complaints.push(format!(
            "these files import each other in a circle that is not in CIRCLES: {circle:?}\n{}",
            arrows.join("\n")
        ));
    }
    for files in listed {
        complaints.push(format!("CIRCLES has a circle that does not exist: {files:?}"));
    }
}

/// Returns the sets of files in which each file reaches each other one.
fn circles(imports: &[Import]) -> Vec<Vec<&str>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|&file| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![file]);
            while let Some(file) = open.pop() {
                open.extend(next.get(file).into_iter().flatten().filter(|&&to| seen.insert(to)));
            }
            (file, seen)
        })
        .collect();
    let both = |a: &str, b: &str| {
        reached[a].contains(b) && reached.get(b).is_some_and(|files| files.contains(a))
    };
    let circles: BTreeSet<Vec<&str>> = reached
        .iter()
        .filter(|(file, files)| files.contains(*file))
        .map(|(file, files)| files.iter().copied().filter(|other| both(file, other)).collect())
        .collect();
    circles.into_iter().collect()
}

/// Returns the imports of a crate, each path once a file.
fn imports(tree: &CrateTree, complaints: &mut Vec<String>) -> Vec<Import> {
    let mut imports = Vec::new();
    for (path, module) in &tree.modules {
        let mut paths = Paths::default();
        module.items.iter().for_each(|item| paths.visit_item(item));
        let reexports: BTreeSet<_> =
            module.uses.iter().filter(|used| used.is_reexport).map(|used| &used.name).collect();
        let used = module.uses.iter().filter(|used| !used.is_reexport).map(|used| &used.path);
        // A name by itself is defined here or imported, unless this module re-exports it and uses
        // it too.
        let inline = paths.0.iter().filter(|path| path.len() > 1 || reexports.contains(&path[0]));
        for target_path in used.chain(inline).collect::<BTreeSet<_>>() {
            let resolved = tree.resolve(path, target_path);
            let written = target_path.join("::");
            if resolved.target == Target::Missing {
                complaints.push(format!("{}: cannot resolve `{written}`", module.file));
            }
            let Some(to) = tree.file(&resolved.target).filter(|to| **to != module.file) else {
                continue;
            };
            // What follows the name of an import is as direct as the import.
            let starts_here = matches!(target_path[0].as_str(), "crate" | "super" | "self");
            let is_around = |through: &&Vec<String>| {
                starts_here && through.len() < path.len() && path.starts_with(through)
            };
            let detour = resolved.through.iter().find(is_around);
            imports.push(Import {
                from: module.file.clone(),
                to: to.to_owned(),
                path: written,
                detour: detour.map(|through| tree.modules[through].file.clone()),
            });
        }
    }
    imports
}

/// All paths of a module, those in the arguments of macros included.
#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.add(&mut path);
                    self.add_tokens(group.stream());
                }
                _ => self.add(&mut path),
            }
        }
        self.add(&mut path);
    }

    fn add(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.0.insert(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.0.insert(names(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.add_tokens(called.tokens.clone());
    }

    /// A child module is a module of its own.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, _: &'ast syn::ItemUse) {}

    /// Documentation imports nothing.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    /// `pub(super)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

/// Returns what is wrong with a small crate of the layers `low` and `high`.
fn complaints_about(sources: &[(&str, &str)], known: &[(&[&str], &str)]) -> Vec<String> {
    let sources = sources.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
    check(&CrateTree::parse(&sources.collect()), &[&["low"], &["high"]], known)
}

const ROOT: (&str, &str) = ("lib.rs", "pub mod low; pub mod high;");

#[test]
fn a_crate_without_faults_is_not_complained_about() {
    let sources = [
        ROOT,
        ("low/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("low/a.rs", "use super::b::B; pub struct A(B);"),
        ("low/b.rs", "use std::io; pub struct B(io::Error);"),
        ("high.rs", "use crate::low::A; pub fn f(_: A) -> std::io::Result<()> { Ok(()) }"),
    ];
    assert_eq!(complaints_about(&sources, &[]), [""; 0]);
}

#[test]
fn a_circle_is_found_through_use_declarations_paths_and_macros() {
    for (one, other) in [
        ("use super::b::B; pub struct A(B);", "use super::a::A; pub struct B(A);"),
        ("pub struct A(super::b::B);", "pub struct B(crate::low::a::A);"),
        ("use super::b; pub struct A(b::B);", "pub struct B; fn f() { dbg!(super::a::A); }"),
        ("use super::b::*; pub struct A(B);", "pub struct B; fn f() { super::a::A::new(); }"),
    ] {
        let sources = [
            ROOT,
            ("low/mod.rs", "mod a; mod b;"),
            ("low/a.rs", one),
            ("low/b.rs", other),
            ("high.rs", ""),
        ];
        let complaints = complaints_about(&sources, &[]);
        assert_eq!(complaints.len(), 1, "{complaints:#?}");
        assert!(complaints[0].contains(r#"["low/a.rs", "low/b.rs"]"#), "{complaints:#?}");

        let known: &[(&[&str], &str)] = &[(&["low/a.rs", "low/b.rs"], "a reason")];
        assert_eq!(complaints_about(&sources, known), [""; 0]);
    }
}

#[test]
fn a_module_that_uses_what_it_reexports_imports_it() {
    let sources = [
        ROOT,
        ("low/mod.rs", "mod a; pub use a::A; pub struct B(A);"),
        ("low/a.rs", "use super::B; pub struct A(B);"),
        ("high.rs", ""),
    ];
    let complaints = complaints_about(&sources, &[]);
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(complaints[0].contains(r#"["low/a.rs", "low/mod.rs"]"#), "{complaints:#?}");
}

#[test]
fn a_listed_circle_must_exist() {
    let known: &[(&[&str], &str)] = &[(&["low/a.rs", "low/b.rs"], "a reason")];
    let complaints = complaints_about(&[ROOT, ("low.rs", ""), ("high.rs", "")], known);
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(complaints[0].contains("does not exist"), "{complaints:#?}");
}

#[test]
fn an_upward_import_is_found() {
    let sources = [ROOT, ("low.rs", "fn f() { crate::high::g() }"), ("high.rs", "pub fn g() {}")];
    let complaints = complaints_about(&sources, &[]);
    assert_eq!(
        complaints,
        ["low.rs imports `crate::high::g` from high.rs: `high` is not below `low`"]
    );
}

#[test]
fn a_module_without_a_layer_is_found() {
    let sources = [
        ("lib.rs", "mod low; mod high; mod other;"),
        ("low.rs", "pub struct A;"),
        ("high.rs", ""),
        ("other.rs", "use crate::low::A;"),
    ];
    let complaints = complaints_about(&sources, &[]);
    assert_eq!(complaints, ["other.rs imports `crate::low::A`: `other` is in no layer"]);
}

#[test]
fn an_import_through_the_reexport_of_the_own_module_is_found() {
    let sources = [
        ROOT,
        ("low/mod.rs", "mod a; mod b; pub use a::A;"),
        ("low/a.rs", "pub struct A;"),
        ("low/b.rs", "use super::A; use crate::low::A as Again;"),
        ("high.rs", "use crate::low::A;"),
    ];
    let complaints = complaints_about(&sources, &[]);
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(complaints.iter().all(|complaint| complaint.contains("through low/mod.rs")));
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    let sources = [ROOT, ("low.rs", "use crate::high::Missing;"), ("high.rs", "")];
    assert_eq!(complaints_about(&sources, &[]), ["low.rs: cannot resolve `crate::high::Missing`"]);
}
