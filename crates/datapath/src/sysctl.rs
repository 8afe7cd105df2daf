//! Kernel settings below /proc/sys. Those of the network are the calling thread's namespace's.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::Error;
use crate::state::Sysctl;

/// No setting we read is longer.
const LONGEST: usize = 64;

/// What a setting is opened for.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
    Both,
}

fn open(name: &str, access: Access) -> io::Result<File> {
    let (read, write) = match access {
        Access::Read => (true, false),
        Access::Write => (false, true),
        Access::Both => (true, true),
    };
    OpenOptions::new()
        .read(read)
        .write(write)
        .open(Path::new("/proc/sys").join(name))
}

fn value(mut file: &File) -> io::Result<String> {
    let mut buffer = [0; LONGEST];
    let length = file.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())
}

/// The value of a setting; `None` where this kernel does not have it (IPv6 switched off, say).
pub(crate) fn read(name: &str) -> Result<Option<String>, Error> {
    match open(name, Access::Read).and_then(|file| value(&file)) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::ReadSysctl {
            name: name.to_owned(),
            source,
        }),
    }
}

/// Writes a setting.
pub(crate) fn write(sysctl: &Sysctl) -> Result<(), Error> {
    open(&sysctl.name, Access::Write)
        .and_then(|file| file.write_all_at(sysctl.value.as_bytes(), 0))
        .map_err(|source| failed_to_write(sysctl, source))
}

/// Writes those settings that exist and differ. Reading is cheap; writing a forwarding setting
/// takes the lock that every network change of the machine takes.
pub(crate) fn ensure(sysctls: &[Sysctl]) -> Result<(), Error> {
    for sysctl in sysctls {
        let written = open(&sysctl.name, Access::Both).and_then(|file| {
            if value(&file)? == sysctl.value {
                return Ok(());
            }
            file.write_all_at(sysctl.value.as_bytes(), 0)
        });
        match written {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(|source| failed_to_write(sysctl, source))?,
        }
    }
    Ok(())
}

fn failed_to_write(sysctl: &Sysctl, source: io::Error) -> Error {
    let (name, value) = (sysctl.name.clone(), sysctl.value.clone());
    Error::WriteSysctl {
        name,
        value,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_new_namespace;

    #[test]
    fn settings_are_written_only_where_they_exist_and_differ() {
        let setting = |name: &str, value: &str| Sysctl {
            name: name.into(),
            value: value.into(),
        };
        in_new_namespace(|| {
            let forward = "net/ipv4/ip_forward";
            let wanted = [
                setting(forward, "1"),
                setting("net/ipv4/no_such_setting", "1"),
            ];
            ensure(&wanted).unwrap();
            assert_eq!(read(forward).unwrap().as_deref(), Some("1"));
            assert_eq!(read("net/ipv4/no_such_setting").unwrap(), None);
            let error = write(&setting("net/ipv4/no_such_setting", "1")).unwrap_err();
            assert!(error.to_string().contains("no_such_setting"), "{error}");
        });
    }
}
