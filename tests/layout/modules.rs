//! The modules of a crate and the names each takes from the others, read from the source.
//!
//! Every file is a module, found by its place in the tree, so modules declared inside macros count. Tests are left out.
//! A path is followed through imports, re-exports and globs to the file that defines what it names. Paths are read
//! token by token, so those inside macro calls and `macro_rules!` bodies count as well.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenTree};
use quote::ToTokens;
use syn::{Item, ItemUse, UseTree};

/// A module's path from the crate's root.
pub(super) type Name = Vec<String>;

/// One use of a name that another file defines.
#[derive(Clone, Debug)]
pub(super) struct Use {
    /// The module that uses it.
    pub(super) from: Name,
    /// The module that defines it.
    pub(super) to: Name,
    /// `file:line` of the use.
    pub(super) place: String,
}

/// A crate's modules, files and inline ones.
#[derive(Default)]
pub(super) struct Crate {
    modules: BTreeMap<Name, Module>,
    /// The file of each `macro_rules!` macro.
    macros: BTreeMap<String, Name>,
    /// Methods that are defined in another file than their type.
    split_methods: Vec<SplitMethod>,
}

#[derive(Default)]
struct Module {
    /// The module of the file that it is in.
    file: Name,
    path: String,
    definitions: BTreeSet<String>,
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    methods: Vec<Method>,
    mentions: Vec<Mention>,
}

/// A method of an `impl` block without a trait.
struct Method {
    of: String,
    name: String,
}

struct SplitMethod {
    of: String,
    name: String,
    /// The file of the type.
    home: Name,
    file: Name,
}

/// A path in a module's source.
struct Mention {
    segments: Vec<String>,
    line: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Path,
    Method,
    Macro,
    Import,
    Reexport,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// Something that the file of this module defines.
    Item(Name),
    Module(Name),
    /// Something of another crate, or a local variable.
    Foreign,
}

impl Crate {
    /// A crate made of `files`: paths within `src`, and texts.
    pub(super) fn new(files: &BTreeMap<String, String>) -> Self {
        let mut this = Self::default();
        for (path, text) in files {
            let mut name: Name = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if ["lib", "main", "mod"].contains(&name[name.len() - 1].as_str()) {
                name.pop();
            }
            if !name.iter().any(|part| part == "tests" || part == "test_support") {
                let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
                this.read(&name, &name, path, file.items);
            }
        }
        let mut split = vec![];
        for (module_name, module) in &this.modules {
            for Method { of, name } in &module.methods {
                let Target::Item(home) = this.lookup(module_name, of, &mut vec![]) else { continue };
                if home != module.file {
                    let (of, name, file) = (of.clone(), name.clone(), module.file.clone());
                    split.push(SplitMethod { of, name, home, file });
                }
            }
        }
        this.split_methods = split;
        this
    }

    fn read(&mut self, name: &Name, file: &Name, path: &str, items: Vec<Item>) {
        let mut module = Module { file: file.clone(), path: path.into(), ..Module::default() };
        for item in items {
            let tokens: Vec<TokenTree> = item.to_token_stream().into_iter().collect();
            if starts_with_test(&tokens) {
                continue;
            }
            module.define(&item);
            match item {
                Item::Mod(inner) => {
                    if let Some((_, items)) = inner.content {
                        let name = child(name, &inner.ident.to_string());
                        self.read(&name, file, path, items);
                    }
                    continue;
                }
                Item::Macro(rules) => {
                    self.macros.extend(rules.ident.iter().map(|ident| (ident.to_string(), file.clone())));
                }
                _ => {}
            }
            module.scan(&tokens);
        }
        self.modules.insert(name.clone(), module);
    }

    /// Every use of a name that another file defines.
    pub(super) fn uses(&self) -> Vec<Use> {
        let mut uses = vec![];
        for (name, module) in &self.modules {
            for mention in &module.mentions {
                for to in self.targets(name, mention) {
                    // a facade that passes on what its own folder defines does not use it
                    let passed_on = mention.kind == Kind::Reexport && to.starts_with(&module.file);
                    if to != module.file && !passed_on {
                        let place = format!("{}:{}", module.path, mention.line);
                        uses.push(Use { from: module.file.clone(), to, place });
                    }
                }
            }
        }
        uses
    }

    /// The place of a module among its siblings; a file with a folder of its own stands in it, under the file's name.
    pub(super) fn place(&self, module: &Name) -> Name {
        if !self.has_children(module) {
            return module.clone();
        }
        let path = &self.modules[module].path;
        child(module, path.rsplit('/').next().unwrap_or(path))
    }

    fn has_children(&self, module: &Name) -> bool {
        self.modules.values().any(|other| other.file.len() > module.len() && other.file.starts_with(module))
    }

    /// The files that a mention takes something from.
    fn targets(&self, from: &Name, mention: &Mention) -> Vec<Name> {
        let Mention { segments, kind, .. } = mention;
        let Some(last) = segments.last() else { return vec![] };
        // a method counts where its type is in scope, for no source says what type a value has
        let method = self.split_methods.iter().find(|method| {
            let in_scope = || self.lookup(from, &method.of, &mut vec![]);
            method.name == *last && in_scope() == Target::Item(method.home.clone())
        });
        let method = method.map(|method| method.file.clone());
        match self.resolve(from, segments, &mut vec![]) {
            _ if *kind == Kind::Method => method.into_iter().collect(),
            Target::Item(file) => {
                [Some(file), method.filter(|_| segments.len() > 1)].into_iter().flatten().collect()
            }
            // a folder's facade is no more than the names that go through it; a single word may be a variable
            Target::Module(module) if segments.len() > 1 && !self.has_children(&module) => {
                vec![self.modules[&module].file.clone()]
            }
            Target::Foreign if *kind == Kind::Macro => self.macros.get(last).cloned().into_iter().collect(),
            _ => vec![],
        }
    }

    fn resolve(&self, from: &Name, segments: &[String], seen: &mut Vec<(Name, String)>) -> Target {
        let (mut module, mut rest) = (from.clone(), segments);
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                _ => break,
            }
            rest = others;
        }
        let rooted = rest.len() < segments.len();
        let mut target = Target::Module(module);
        for (index, segment) in rest.iter().enumerate() {
            let Target::Module(module) = &target else { break };
            let (inner, is_last) = (child(module, segment), index + 1 == rest.len());
            // a module and a function may share a name
            target = if !is_last && self.modules.contains_key(&inner) {
                Target::Module(inner)
            } else {
                match self.lookup(module, segment, seen) {
                    Target::Foreign if rooted && is_last => self.made_by_macro(module, segment),
                    found => found,
                }
            };
        }
        target
    }

    /// What `name` means inside `module`.
    fn lookup(&self, module: &Name, name: &str, seen: &mut Vec<(Name, String)>) -> Target {
        let key = (module.clone(), name.to_owned());
        let Some(scope) = self.modules.get(module).filter(|_| !seen.contains(&key)) else {
            return Target::Foreign;
        };
        if scope.definitions.contains(name) {
            return Target::Item(scope.file.clone());
        }
        seen.push(key);
        let inner = child(module, name);
        let imported = scope.imports.get(name).map(|path| self.resolve(module, path, seen));
        let declared = self.modules.contains_key(&inner).then_some(Target::Module(inner));
        let globs = scope.globs.iter().map(|glob| match self.resolve(module, glob, &mut seen.clone()) {
            Target::Module(inner) => self.lookup(&inner, name, &mut seen.clone()),
            _ => Target::Foreign,
        });
        let mut found = imported.into_iter().chain(declared).chain(globs);
        found.find(|target| *target != Target::Foreign).unwrap_or(Target::Foreign)
    }

    /// A name whose definition no source shows, so a macro makes it: in the one file below `module` that defines such a
    /// name, else in `module`.
    fn made_by_macro(&self, module: &Name, name: &str) -> Target {
        let Some(scope) = self.modules.get(module).filter(|scope| !scope.imports.contains_key(name)) else {
            return Target::Foreign;
        };
        let below = self.modules.iter().filter(|(inner, _)| inner.starts_with(module));
        let homes: Vec<_> = below.filter(|(_, inner)| inner.definitions.contains(name)).collect();
        let home = if let [(_, home)] = homes.as_slice() { home } else { scope };
        Target::Item(home.file.clone())
    }
}

impl Module {
    fn define(&mut self, item: &Item) {
        let ident = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(syn::ItemMacro { ident: Some(ident), .. }) => ident,
            Item::Impl(block) => {
                if let (None, syn::Type::Path(of)) = (&block.trait_, &*block.self_ty) {
                    let methods = block.items.iter().filter_map(|item| match item {
                        syn::ImplItem::Fn(method) => Some(method.sig.ident.to_string()),
                        _ => None,
                    });
                    let of = of.path.segments[0].ident.to_string();
                    self.methods.extend(methods.map(|name| Method { of: of.clone(), name }));
                }
                return;
            }
            _ => return,
        };
        self.definitions.insert(ident.to_string());
    }

    /// Gathers every path among `tokens`.
    fn scan(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            if starts_with_test(&tokens[at..]) {
                let last = |token: &TokenTree| is_punct(Some(token), ';') || is_block(token);
                at += 1 + tokens[at..].iter().position(last).unwrap_or(tokens.len());
                continue;
            }
            at += match &tokens[at] {
                TokenTree::Ident(word) if word == "pub" || word == "use" => self.visible(&tokens[at..]),
                TokenTree::Ident(_) => self.path(&tokens[..at], &tokens[at..]),
                TokenTree::Group(group) => {
                    self.scan(&group.stream().into_iter().collect::<Vec<_>>());
                    1
                }
                TokenTree::Literal(text) => {
                    let (line, text) = (text.span().start().line, text.to_string());
                    let segments: Vec<String> =
                        text.trim_matches('"').split("::").map(str::to_owned).collect();
                    if ["crate", "self", "super"].contains(&segments[0].as_str()) {
                        self.mentions.push(Mention { segments, line, kind: Kind::Path });
                    }
                    1
                }
                TokenTree::Punct(_) => 1,
            };
        }
    }

    /// Steps over a visibility, whose path names nothing, and takes in the import after it, if there is one; returns
    /// the number of tokens.
    fn visible(&mut self, tokens: &[TokenTree]) -> usize {
        let end = tokens.iter().position(|token| is_punct(Some(token), ';')).map_or(0, |end| end + 1);
        if let Ok(item) = syn::parse2::<ItemUse>(tokens[..end].iter().cloned().collect()) {
            let public = !matches!(item.vis, syn::Visibility::Inherited);
            self.import(&item.tree, &[], if public { Kind::Reexport } else { Kind::Import });
            return end;
        }
        let scope = tokens.get(1).map(|token| token.to_string().replace(' ', "")).unwrap_or_default();
        let is_scope = ["(crate)", "(self)", "(super)"].contains(&scope.as_str()) || scope.starts_with("(in");
        1 + usize::from(is_scope)
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], kind: Kind) {
        let with = |ident: &syn::Ident| {
            let ident = ident.to_string();
            if ident == "self" && !prefix.is_empty() { prefix.to_vec() } else { child(prefix, &ident) }
        };
        let (segments, line, name) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), kind),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, prefix, kind));
            }
            UseTree::Glob(glob) => {
                self.globs.push(prefix.to_vec());
                (prefix.to_vec(), glob.star_token.spans[0].start().line, None)
            }
            UseTree::Name(name) => {
                let segments = with(&name.ident);
                let last = segments.last().cloned();
                (segments, name.ident.span().start().line, last)
            }
            UseTree::Rename(name) => {
                (with(&name.ident), name.ident.span().start().line, Some(name.rename.to_string()))
            }
        };
        if let Some(name) = name {
            self.imports.entry(name).or_insert_with(|| segments.clone());
        }
        self.mentions.push(Mention { segments, line, kind });
    }

    /// Takes in the path that `tokens` begin with; returns the number of its tokens.
    fn path(&mut self, before: &[TokenTree], tokens: &[TokenTree]) -> usize {
        let mut segments = vec![tokens[0].to_string()];
        let mut len = 1;
        while let [first, second, TokenTree::Ident(ident), ..] = &tokens[len..]
            && is_punct(Some(first), ':')
            && is_punct(Some(second), ':')
        {
            segments.push(ident.to_string());
            len += 3;
        }
        let next = tokens.get(len);
        let previous = before.last();
        let is_path_next = is_punct(next, ':') && is_punct(tokens.get(len + 1), ':');
        let is_call = next.is_some_and(|next| next.to_string().starts_with('(')) || is_path_next;
        let twice = |mark| before.len() > 1 && is_punct(before.get(before.len() - 2), mark);
        let kind = if is_punct(previous, '.') && !twice('.') {
            Kind::Method
        } else if is_punct(next, '!') && !is_punct(tokens.get(len + 1), '=') {
            Kind::Macro
        } else {
            Kind::Path
        };
        let is_field = segments.len() == 1 && is_punct(next, ':') && !is_path_next;
        // a lifetime, or what follows `<T as Trait>::`
        let no_name = is_punct(previous, '\'') || is_punct(previous, ':') && twice(':');
        if !is_field && !no_name && (kind != Kind::Method || is_call) {
            let line = tokens[0].span().start().line;
            self.mentions.push(Mention { segments, line, kind });
        }
        len
    }
}

/// Whether the attributes at the start of `tokens` have a `#[cfg(test)]` among them.
fn starts_with_test(tokens: &[TokenTree]) -> bool {
    let [hash, TokenTree::Group(attribute), rest @ ..] = tokens else { return false };
    let text = attribute.stream().to_string().replace(' ', "");
    is_punct(Some(hash), '#')
        && (text.starts_with("cfg(test)") || text.starts_with("cfg(all(test") || starts_with_test(rest))
}

fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_block(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn child(module: &[String], name: &str) -> Name {
    [module, &[name.to_owned()]].concat()
}
