//! The network configuration list of a node, and what a runtime makes of it for each plugin
//! (CNI specification 1.1.0, section 3, "Deriving request configuration").

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Why a node's network configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error(
        "there is no CNI configuration in {folder} yet: ipamd writes it when it can serve pods; \
         its log says what it waits for"
    )]
    Absent {
        /// Where it is looked for.
        folder: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read the CNI configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// It is not JSON.
    #[error("the CNI configuration {path} is not JSON")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// It lacks something.
    #[error("the CNI configuration {path} has no {field}")]
    Field {
        /// The file.
        path: PathBuf,
        /// What is missing or has the wrong type.
        field: &'static str,
    },
}

/// A configuration list.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflist {
    /// The network's name.
    pub name: String,
    /// The version of the specification its plugins are spoken to in.
    pub version: String,
    /// The chain, first to last.
    pub plugins: Vec<Plugin>,
}

/// One plugin of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// The program's name.
    pub program: String,
    configuration: Map<String, Value>,
}

impl Conflist {
    /// Reads the first list, by file name, of a configuration folder, as runtimes do.
    ///
    /// # Errors
    /// [`Error`].
    pub fn first_in(folder: &Path) -> Result<Conflist, Error> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let lists = entries.map(|entry| entry.path()).filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conflist")
        });
        let path = lists.min().ok_or_else(|| Error::Absent {
            folder: folder.to_owned(),
        })?;
        let text = fs::read(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let value: Value = serde_json::from_slice(&text).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        Conflist::parse(&value).map_err(|field| Error::Field { path, field })
    }

    /// The list in `value`, or the name of the field that is missing.
    fn parse(value: &Value) -> Result<Conflist, &'static str> {
        let text = |value: &Value, field: &'static str| {
            value[field].as_str().map(str::to_owned).ok_or(field)
        };
        let plugins = value["plugins"]
            .as_array()
            .ok_or("plugins")?
            .iter()
            .map(|one| {
                Ok(Plugin {
                    program: text(one, "type")?,
                    configuration: one.as_object().cloned().ok_or("plugins")?,
                })
            });
        let plugins: Vec<Plugin> = plugins.collect::<Result<_, &'static str>>()?;
        if plugins.is_empty() {
            return Err("plugins");
        }
        Ok(Conflist {
            name: text(value, "name")?,
            version: text(value, "cniVersion")?,
            plugins,
        })
    }

    /// What `plugin` is given on its standard input: its own configuration with the list's name
    /// and version, and `previous` as `prevResult`.
    #[must_use]
    pub fn request(&self, plugin: &Plugin, previous: Option<&Value>) -> String {
        let mut request = plugin.configuration.clone();
        request.insert("name".to_owned(), Value::from(self.name.as_str()));
        request.insert("cniVersion".to_owned(), Value::from(self.version.as_str()));
        if let Some(previous) = previous {
            request.insert("prevResult".to_owned(), previous.clone());
        }
        Value::Object(request).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_first_list_by_name_is_used_and_drafts_are_not() {
        let folder = TempDir::new().unwrap();
        assert!(matches!(
            Conflist::first_in(folder.path()),
            Err(Error::Absent { .. })
        ));
        let list = |name: &str| {
            json!({"name": name, "cniVersion": "0.4.0", "plugins": [{"type": "p"}]}).to_string()
        };
        fs::write(folder.path().join("20-b.conflist"), list("b")).unwrap();
        fs::write(folder.path().join("10-a.conflist"), list("a")).unwrap();
        fs::write(folder.path().join("00-c.conflist.tmp"), "{").unwrap();
        assert_eq!(Conflist::first_in(folder.path()).unwrap().name, "a");
    }

    #[test]
    fn a_plugin_gets_its_own_fields_with_the_lists_name_and_version_and_the_previous_result() {
        let list = json!({"name": "net", "cniVersion": "1.0.0", "disableCheck": true,
            "plugins": [{"type": "aws-cni", "name": "own", "mtu": "9001"}]});
        let list = Conflist::parse(&list).unwrap();
        let plain: Value = serde_json::from_str(&list.request(&list.plugins[0], None)).unwrap();
        let expected = json!(
            {"type": "aws-cni", "name": "net", "cniVersion": "1.0.0", "mtu": "9001"});
        assert_eq!(plain, expected);
        let previous = json!({"ips": []});
        let chained = list.request(&list.plugins[0], Some(&previous));
        let chained: Value = serde_json::from_str(&chained).unwrap();
        assert_eq!(chained["prevResult"], previous);
    }

    #[test]
    fn a_missing_field_is_named() {
        let whole = json!({"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "p"}]});
        for field in ["name", "cniVersion", "plugins"] {
            let mut list = whole.clone();
            list.as_object_mut().unwrap().remove(field);
            assert_eq!(Conflist::parse(&list), Err(field));
        }
        let typeless = json!({"name": "n", "cniVersion": "1.0.0", "plugins": [{}]});
        assert_eq!(Conflist::parse(&typeless), Err("type"));
        let empty = json!({"name": "n", "cniVersion": "1.0.0", "plugins": []});
        assert_eq!(Conflist::parse(&empty), Err("plugins"));
    }
}
