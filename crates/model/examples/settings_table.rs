//! Prints the table of settings as `docs/configuration.md` holds it between its markers.

fn main() {
    print!("{}", vpc_model::settings::markdown_table());
}
