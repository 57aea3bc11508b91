//! A crate's modules, parsed, and the resolution of its paths to the defining modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Attribute, Item, UseTree, Visibility};

/// The names from the root of the crate to a module. The root has none.
pub type ModulePath = Vec<String>;

/// All modules of a crate, without those that only tests or documentation tests have.
pub struct CrateTree {
    pub modules: BTreeMap<ModulePath, Module>,
}

/// A module. Inline modules are modules of their own, in the same file.
pub struct Module {
    /// From the directory of the crate's root, as in `net/mod.rs`.
    pub file: String,
    pub items: Vec<Item>,
    pub uses: Vec<Use>,
    children: BTreeSet<String>,
    names: BTreeSet<String>,
}

/// One name that a `use` declaration brings in.
pub struct Use {
    pub name: String,
    pub path: Vec<String>,
    pub attributes: Vec<Attribute>,
    /// Whether others can import it from here: `pub`, `pub(crate)` and so on.
    pub is_reexport: bool,
    pub is_public: bool,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Module(ModulePath),
    /// An item, by its module and its name.
    Item(ModulePath, String),
    /// Another crate's, a local name, or a type parameter.
    Outside,
    /// A path that starts with `crate`, `self` or `super` and leads nowhere.
    Missing,
}

/// A target, and the modules whose re-exports led to it.
pub struct Resolved {
    pub target: Target,
    pub through: Vec<ModulePath>,
}

/// The deepest chain of re-exports that is followed.
const DEEPEST: usize = 16;

impl CrateTree {
    /// Reads and parses the crate whose root is `lib.rs` in `directory`.
    pub fn read(directory: &Path) -> Self {
        let mut sources = BTreeMap::new();
        read_directory(directory, "", &mut sources);
        Self::parse(&sources)
    }

    /// Parses a crate from its sources, by file name.
    pub fn parse(sources: &BTreeMap<String, String>) -> Self {
        let mut tree = CrateTree { modules: BTreeMap::new() };
        tree.add_file(sources, Vec::new(), "lib.rs");
        tree
    }

    fn add_file(&mut self, sources: &BTreeMap<String, String>, path: ModulePath, file: &str) {
        let parsed = syn::parse_file(&sources[file])
            .unwrap_or_else(|error| panic!("{file} cannot be parsed: {error}"));
        self.add_module(sources, path, file, parsed.items);
    }

    fn add_module(
        &mut self,
        sources: &BTreeMap<String, String>,
        path: ModulePath,
        file: &str,
        items: Vec<Item>,
    ) {
        let items: Vec<_> = items.into_iter().filter(|item| !is_for_tests(item)).collect();
        let mut module = Module {
            file: file.to_owned(),
            items: Vec::new(),
            uses: Vec::new(),
            children: BTreeSet::new(),
            names: BTreeSet::new(),
        };
        for item in &items {
            module.names.extend(item_names(item));
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    module.children.insert(name.clone());
                    let child_path = child_path(&path, &name);
                    match &child.content {
                        Some((_, items)) => {
                            self.add_module(sources, child_path, file, items.clone());
                        }
                        None => {
                            let child_file = file_of(sources, file, &name);
                            self.add_file(sources, child_path, &child_file);
                        }
                    }
                }
                Item::Use(item) => {
                    let mut leaves = Vec::new();
                    leaves_of(&item.tree, &mut Vec::new(), &mut leaves);
                    module.uses.extend(leaves.into_iter().map(|(name, path)| Use {
                        name,
                        path,
                        attributes: item.attrs.clone(),
                        is_reexport: !matches!(item.vis, Visibility::Inherited),
                        is_public: matches!(item.vis, Visibility::Public(_)),
                    }));
                }
                _ => {}
            }
        }
        module.items = items;
        self.modules.insert(path, module);
    }

    /// Returns what `path` leads to when it stands in the module `from`.
    pub fn resolve(&self, from: &[String], path: &[String]) -> Resolved {
        let mut through = Vec::new();
        let target = self.follow(from, path, &mut through, 0);
        Resolved { target, through }
    }

    fn follow(
        &self,
        from: &[String],
        path: &[String],
        through: &mut Vec<ModulePath>,
        depth: usize,
    ) -> Target {
        assert!(depth < DEEPEST, "{}: the re-exports go round", path.join("::"));
        let mut at = from.to_vec();
        let mut is_ours = false;
        for (position, segment) in path.iter().enumerate() {
            match segment.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" if at.pop().is_none() => return Target::Missing,
                "super" => {}
                "*" => return Target::Module(at),
                name => {
                    let found = if position == 0 && depth > 0 {
                        // A `use` begins with a child module, an item, or another crate.
                        self.child(&at, name).or_else(|| self.item(&at, name))
                    } else if position + 1 == path.len() {
                        // A function may have the name of its module, and is then meant.
                        self.item(&at, name)
                            .or_else(|| self.imported(&at, name, through, depth))
                            .or_else(|| self.child(&at, name))
                    } else {
                        self.child(&at, name)
                            .or_else(|| self.item(&at, name))
                            .or_else(|| self.imported(&at, name, through, depth))
                    };
                    match found {
                        Some(Target::Module(module)) => at = module,
                        Some(found) => return found, // what follows belongs to the item
                        None if is_ours => return Target::Missing,
                        None => return Target::Outside,
                    }
                }
            }
            is_ours = true;
        }
        Target::Module(at)
    }

    fn child(&self, module: &[String], name: &str) -> Option<Target> {
        let is_child = self.modules[module].children.contains(name);
        is_child.then(|| Target::Module(child_path(module, name)))
    }

    fn item(&self, module: &[String], name: &str) -> Option<Target> {
        let is_item = self.modules[module].names.contains(name);
        is_item.then(|| Target::Item(module.to_vec(), name.to_owned()))
    }

    /// Looks a name up in the `use` declarations of a module.
    fn imported(
        &self,
        module: &[String],
        name: &str,
        through: &mut Vec<ModulePath>,
        depth: usize,
    ) -> Option<Target> {
        for used in &self.modules[module].uses {
            let is_glob = used.name == "*";
            if !is_glob && used.name != name {
                continue;
            }
            let mut path = used.path.clone();
            if is_glob {
                *path.last_mut().expect("a glob has a path") = name.to_owned();
            }
            let known = through.len();
            if used.is_reexport {
                through.push(module.to_vec());
            }
            match self.follow(module, &path, through, depth + 1) {
                Target::Missing | Target::Outside if is_glob => through.truncate(known),
                found => return Some(found),
            }
        }
        None
    }

    /// Returns the file in which the target is defined.
    pub fn file(&self, target: &Target) -> Option<&str> {
        match target {
            Target::Module(module) | Target::Item(module, _) => Some(&self.modules[module].file),
            Target::Outside | Target::Missing => None,
        }
    }
}

/// Returns the path of a module's child.
pub fn child_path(module: &[String], name: &str) -> ModulePath {
    [module, &[name.to_owned()]].concat()
}

/// Returns the names of a path, without their arguments.
pub fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// Reads all Rust files of a directory, by their names from the first directory on.
pub fn read_directory(directory: &Path, prefix: &str, sources: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read_directory(&path, &format!("{name}/"), sources);
        } else if name.ends_with(".rs") {
            sources.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// Returns the file of the module `name` that `file` declares.
fn file_of(sources: &BTreeMap<String, String>, file: &str, name: &str) -> String {
    let (directory, stem) = file
        .rsplit_once('/')
        .map_or(("", file), |(before, stem)| (&file[..before.len() + 1], stem));
    let directory = match stem {
        "lib.rs" | "mod.rs" => directory.to_owned(),
        other => format!("{directory}{}/", other.trim_end_matches(".rs")),
    };
    let names = [format!("{directory}{name}.rs"), format!("{directory}{name}/mod.rs")];
    let found = names.into_iter().find(|candidate| sources.contains_key(candidate));
    found.unwrap_or_else(|| panic!("{file} declares the module {name}, which has no file"))
}

/// Returns whether an item is compiled for unit tests or documentation tests alone.
fn is_for_tests(item: &Item) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|option| option == "test" || option == "doctest")
    };
    attributes(item).iter().any(is_test)
}

/// Returns the attributes of an item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the names that an item defines, those of the structs of a `bitflags!` included.
fn item_names(item: &Item) -> Vec<String> {
    match item {
        Item::Const(item) => vec![item.ident.to_string()],
        Item::Enum(item) => vec![item.ident.to_string()],
        Item::Fn(item) => vec![item.sig.ident.to_string()],
        Item::Static(item) => vec![item.ident.to_string()],
        Item::Struct(item) => vec![item.ident.to_string()],
        Item::Trait(item) => vec![item.ident.to_string()],
        Item::Type(item) => vec![item.ident.to_string()],
        Item::Macro(item) => bitflags(item).into_iter().map(|flags| flags.name).collect(),
        _ => Vec::new(),
    }
}

/// A set of flags that `bitflags!` defines.
pub struct Bitflags {
    pub attributes: Vec<Attribute>,
    pub visibility: Visibility,
    pub name: String,
    pub repr: syn::Type,
    pub flags: Vec<String>,
}

impl syn::parse::Parse for Bitflags {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<syn::Token![struct]>()?;
        let name = input.parse::<syn::Ident>()?.to_string();
        input.parse::<syn::Token![:]>()?;
        let repr = input.parse()?;
        let content;
        syn::braced!(content in input);
        let mut flags = Vec::new();
        while !content.is_empty() {
            content.call(Attribute::parse_outer)?;
            content.parse::<syn::Token![const]>()?;
            if !content.peek(syn::Token![_]) {
                flags.push(content.parse::<syn::Ident>()?.to_string());
            } else {
                content.parse::<syn::Token![_]>()?;
            }
            content.parse::<syn::Token![=]>()?;
            content.parse::<syn::Expr>()?;
            content.parse::<syn::Token![;]>()?;
        }
        Ok(Bitflags { attributes, visibility, name, repr, flags })
    }
}

/// Returns the sets of flags of a `bitflags!`, and none for any other macro.
pub fn bitflags(item: &syn::ItemMacro) -> Vec<Bitflags> {
    if item.mac.path.segments.last().is_none_or(|last| last.ident != "bitflags") {
        return Vec::new();
    }
    let all = |input: syn::parse::ParseStream<'_>| {
        let mut sets = Vec::new();
        while !input.is_empty() {
            if input.peek(syn::Token![impl]) {
                input.parse::<syn::ItemImpl>()?;
            } else {
                sets.push(input.parse()?);
            }
        }
        Ok(sets)
    };
    item.mac.parse_body_with(all).expect("the flags of a bitflags! cannot be parsed")
}

/// Collects the names that a `use` tree brings in, with their paths. A glob has the name `*`.
fn leaves_of(tree: &UseTree, prefix: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            leaves_of(&path.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|item| leaves_of(item, prefix, leaves));
        }
        UseTree::Name(name) if name.ident == "self" => {
            let last = prefix.last().expect("`self` follows a module").clone();
            leaves.push((last, prefix.clone()));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaves.push((name.clone(), [&prefix[..], &[name]].concat()));
        }
        UseTree::Rename(rename) if rename.ident == "self" => {
            leaves.push((rename.rename.to_string(), prefix.clone()));
        }
        UseTree::Rename(rename) => {
            let path = [&prefix[..], &[rename.ident.to_string()]].concat();
            leaves.push((rename.rename.to_string(), path));
        }
        UseTree::Glob(_) => {
            leaves.push(("*".to_owned(), [&prefix[..], &["*".to_owned()]].concat()))
        }
    }
}
