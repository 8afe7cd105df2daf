//! The table as it stands in `docs/configuration.md`.

use std::fmt::Write;

use super::key::{Fallback, Row, Support};
use super::table::TABLE;

/// The table of settings in Markdown, one table a section, as `docs/configuration.md` holds it
/// between its markers. `cargo run -p vpc-model --example settings_table` prints it.
#[must_use]
pub fn markdown_table() -> String {
    let mut text = String::new();
    for section in TABLE {
        let _ = write!(
            text,
            "### {}\n\n| variable | default | allowed | for | what it does |\n|---|---|---|---|---|\n",
            section.title
        );
        for entry in section.entries {
            text.push_str(&line(&entry.row()));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn line(row: &Row) -> String {
    let default = match row.fallback {
        Fallback::Text("") => "none".to_owned(),
        Fallback::Unset => "unset".to_owned(),
        Fallback::Text(default) => format!("`{default}`"),
        Fallback::SameAs(other) => format!("as `{other}`"),
    };
    let readers: Vec<String> = row
        .read_by
        .iter()
        .map(|program| format!("`{program}`"))
        .collect();
    let support = match row.support {
        Support::Supported => String::new(),
        Support::NoEffect(why) => format!(" **Accepted, without effect:** {why}."),
        Support::Refused(why) => format!(" **Any other value is refused:** {why}."),
    };
    let text = format!("{}{support} For {}.", row.doc, readers.join(" and "));
    let escaped = |text: &str| text.replace('|', "\\|");
    format!(
        "| `{}` | {default} | {} | {} |\n",
        row.name,
        escaped(row.allowed),
        escaped(&text)
    )
}
