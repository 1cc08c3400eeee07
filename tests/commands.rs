//! What the command line prints, held by snapshots: tests/cmd/*.trycmd. `TRYCMD=overwrite cargo test -p runner --test e2e
//! commands` takes new output over; review the difference like code.

use crate::support::root;

#[test]
fn commands_print_what_is_on_record() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("sgdwalk", std::path::Path::new(env!("CARGO_BIN_EXE_sgdwalk")));
    // helps are laid out for 100 columns, whatever the terminal
    cases.env("COLUMNS", "100").env("NO_COLOR", "1");
    cases.case(root().join("tests/cmd/*.trycmd"));
    cases.run();
}
