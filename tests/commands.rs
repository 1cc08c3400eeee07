//! What the command line prints, held by snapshots: tests/cmd/*.trycmd. `TRYCMD=overwrite cargo test -p runner --test e2e
//! commands` takes new output over; review the difference like code.

use crate::support::root;

#[test]
fn commands_print_what_is_on_record() {
    // helps are laid out for so many columns, whatever the terminal
    for (columns, files) in [("100", "*.trycmd"), ("80", "80/*.trycmd"), ("120", "120/*.trycmd")] {
        let cases = trycmd::TestCases::new();
        cases.register_bin("sgdwalk", std::path::Path::new(env!("CARGO_BIN_EXE_sgdwalk")));
        cases.env("COLUMNS", columns).env("NO_COLOR", "1");
        // not under the name by which cargo runs it
        cases.env("CARGO_PKG_NAME", "");
        cases.case(root().join("tests/cmd").join(files));
        cases.run();
    }
}

#[test]
fn no_help_is_wider_than_the_terminal() {
    let verbs = [
        "",
        "check",
        "resume",
        "fork",
        "report",
        "export",
        "reproduce",
        "bench",
        "selfcheck",
        "data",
        "data fetch",
        "data list",
        "plugins",
        "new-plugin",
        "keys",
        "glossary",
        "completions",
        "man",
    ];
    for (verb, width) in verbs.into_iter().flat_map(|verb| [80, 100, 120].map(|width| (verb, width))) {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_sgdwalk"))
            .args(verb.split_whitespace().chain(["--help"]))
            .env("COLUMNS", width.to_string())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{verb}");
        let help = String::from_utf8(ran.stdout).unwrap();
        for line in help.lines() {
            assert!(line.chars().count() <= width, "{verb} --help at {width} columns: {line}");
        }
    }
}
