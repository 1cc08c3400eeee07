//! Modules that need each other.

use std::collections::BTreeMap;

use super::modules::{Crate, Name};

/// A graph of the modules of one folder: for each pair, where the first uses the second.
type Folder = BTreeMap<String, BTreeMap<String, String>>;

/// Every circle among the modules of a crate, as `crate: a -> b -> a` and a line for each arrow.
///
/// A use of one file's name in another is an arrow between the two siblings that they are, or are in, in the innermost
/// folder that has both.
pub(super) fn circles(name: &str, files: &BTreeMap<String, String>) -> Vec<String> {
    let modules = Crate::new(files);
    let mut folders: BTreeMap<Name, Folder> = BTreeMap::new();
    for used in modules.uses() {
        let (from, to) = (modules.place(&used.from), modules.place(&used.to));
        let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let folder = folders.entry(from[..shared].to_vec()).or_default();
        let arrows = folder.entry(from[shared].clone()).or_default();
        arrows.entry(to[shared].clone()).or_insert(used.place);
    }
    let mut found = vec![];
    for (folder, arrows) in &folders {
        let mut known = vec![];
        for (from, targets) in arrows {
            for to in targets.keys() {
                let Some(circle) = path(arrows, to, from) else { continue };
                let mut nodes = circle.clone();
                nodes.sort_unstable();
                if !known.contains(&nodes) {
                    known.push(nodes);
                    found.push(describe(name, folder, arrows, &circle));
                }
            }
        }
    }
    found
}

/// The shortest way from `from` to `to`, both included.
fn path<'a>(arrows: &'a Folder, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![from]];
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        let last = way[way.len() - 1];
        if last == to {
            return Some(way);
        }
        for target in arrows.get(last).into_iter().flat_map(BTreeMap::keys) {
            if !ways.iter().any(|way| way.contains(&target.as_str())) {
                ways.push([way.as_slice(), &[target]].concat());
            }
        }
        next += 1;
    }
    None
}

fn describe(name: &str, folder: &Name, arrows: &Folder, circle: &[&str]) -> String {
    let closed: Vec<&str> = circle.iter().chain(&circle[..1]).copied().collect();
    let full = |node: &&str| [folder.as_slice(), &[(*node).to_owned()]].concat().join("/");
    let mut text = format!("{name}: {}", closed.iter().map(full).collect::<Vec<_>>().join(" -> "));
    for pair in closed.windows(2) {
        text += &format!("\n    {} uses {}", arrows[pair[0]][pair[1]], full(&pair[1]));
    }
    text
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    circles("fake", &files)
}

#[test]
fn a_plain_tree_has_no_circle() {
    let files = [
        ("lib.rs", "mod shapes; mod layers; pub use layers::Layer; pub use shapes::*;"),
        (
            "shapes/mod.rs",
            "mod side; pub use side::Side; pub struct Shape(Side); impl Shape { fn side(&self) {} }",
        ),
        (
            "shapes/side.rs",
            "pub struct Side; #[cfg(test)] mod tests { use crate::Layer; use super::super::Shape; }",
        ),
        (
            "layers.rs",
            "use crate::{Shape, Side}; pub struct Layer(Shape, Side); #[cfg(test)] fn f(x: super::x::X) {}",
        ),
        ("layers/tests.rs", "use crate::Shape; use super::super::user::User;"),
        ("user.rs", "pub(crate) struct User(crate::Layer);"),
    ];
    assert_eq!(found(&files), Vec::<String>::new());
}

#[test]
fn a_circle_through_a_re_export_of_the_root_is_found() {
    let files = [
        ("lib.rs", "mod model; mod loss;\npub use model::Point;\npub use loss::Loss;"),
        ("model.rs", "use crate::Loss;\npub struct Point; pub struct Model(Loss);"),
        ("loss.rs", "\n\npub struct Loss;\nfn f(at: &crate::Point) {}"),
    ];
    let expected = "fake: model -> loss -> model\n    model.rs:1 uses loss\n    loss.rs:4 uses model";
    assert_eq!(found(&files), [expected]);
}

#[test]
fn a_facade_that_defines_what_its_child_uses_is_part_of_a_circle() {
    let inner = ("conv/packed.rs", "use super::Shape; pub(super) fn pack(shape: Shape) {}");
    let user = "mod packed; pub struct Shape; fn f() { packed::pack(Shape) }";
    assert_eq!(found(&[("lib.rs", "mod conv;"), ("conv/mod.rs", user), inner]).len(), 1);
    let facade = "mod packed; mod shape; pub use shape::Shape; pub(super) use packed::*;";
    let shape = ("conv/shape.rs", "pub struct Shape;");
    assert!(found(&[("lib.rs", "mod conv;"), ("conv/mod.rs", facade), shape, inner]).is_empty());
}

#[test]
fn globs_macros_strings_and_methods_are_followed() {
    let files = |b: &str| {
        let root = "mod a; mod b; pub use a::*;";
        found(&[("lib.rs", root), ("a.rs", "use crate::b::B;\npub struct A(B); fn a() {}"), ("b.rs", b)])
            .len()
    };
    assert_eq!(files("pub struct B;"), 0);
    assert_eq!(files("use super::*; pub struct B; fn f(x: A) {}"), 1);
    assert_eq!(files("pub struct B; fn f() { vec![crate::a::a()]; }"), 1);
    assert_eq!(files("pub struct B; macro_rules! m { () => { $crate::a::a() } }"), 1);
    assert_eq!(files("pub struct B; #[serde(default = \"crate::a::a\")] struct C;"), 1);
    assert_eq!(files("pub struct B; fn f(a: u8, A: u8) -> u8 { a.a }"), 0);
    let split = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A; impl A { fn f(&self) { self.g() } }"),
        ("b.rs", "use crate::a::A; impl A { pub fn g(&self) {} }"),
    ];
    assert_eq!(found(&split).len(), 1);
}

#[test]
fn modules_and_names_that_a_macro_makes_are_found() {
    let files = [
        ("lib.rs", "rows! { train: Train } mod user;"),
        ("train.rs", "pub struct Train; fn f() { super::user::f() }"),
        ("user.rs", "use crate::Train; pub fn f() {}"),
    ];
    assert_eq!(found(&files).len(), 1);
}
