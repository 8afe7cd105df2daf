//! The log file: many processes append, each for an instant, and whichever finds it full moves it
//! out of the way.
//!
//! A line is one write to a file opened for appending, so lines stay whole. Who moves the file
//! holds a lock on it (`flock`) and makes sure that the name still means it; whoever has it open
//! meanwhile writes into the file that was moved. So no line is lost and none is written twice.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

/// How large the file grows before it is moved: 20 MiB, some fifty thousand verbs.
pub(crate) const LIMIT: u64 = 20 << 20;

/// How many moved files are kept, `.1` the newest.
const KEPT: u32 = 4;

/// How often a file that was moved by somebody else meanwhile is opened anew.
const ATTEMPTS: u32 = 3;

/// Appends a line. A log that cannot be written is nobody's problem.
pub(crate) fn append(path: &Path, line: &str, limit: u64) {
    // Nobody is left to tell if it fails.
    let _ = try_append(path, line, limit);
}

fn try_append(path: &Path, line: &str, limit: u64) -> io::Result<()> {
    let mut file = open(path)?;
    for _ in 0..ATTEMPTS {
        let about = file.metadata()?;
        // A pipe or a device has no size and cannot be moved.
        if !about.is_file() || about.len() == 0 || about.len() + line.len() as u64 <= limit {
            break;
        }
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_named(path, &about) => move_away(path)?,
            // Somebody has moved it since it was opened.
            Ok(()) => {}
            // Somebody moves it now: this line is still its.
            Err(_) => break,
        }
        // Closing the old one gives the lock back.
        file = open(path)?;
    }
    file.write_all(line.as_bytes())
}

fn open(path: &Path) -> io::Result<File> {
    // A pipe nobody reads must not hold the verb up.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags)
        .open(path)
}

/// Whether `path` itself, not a link to it, is this file.
fn is_named(path: &Path, about: &Metadata) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|named| (named.dev(), named.ino()) == (about.dev(), about.ino()))
}

/// `.3` becomes `.4`, and so on; the file becomes `.1`, last of all.
fn move_away(path: &Path) -> io::Result<()> {
    for number in (1..KEPT).rev() {
        match fs::rename(numbered(path, number), numbered(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(path, numbered(path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_full_file_is_moved_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugin.log");
        for number in 0..8 {
            append(&path, &format!("line {number}\n"), 10);
        }
        assert_eq!(lines(&path), ["line 7"]);
        assert_eq!(lines(&numbered(&path, 1)), ["line 6"]);
        assert_eq!(lines(&numbered(&path, 4)), ["line 3"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn no_line_is_lost_or_torn_when_many_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugin.log");
        // As many lines as fit in the files that are kept.
        let (writers, each) = (16, 50);
        let limit = 800 * 16 / 3;
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..each {
                        append(path, &format!("writer {writer:02} {number:03}\n"), limit);
                    }
                });
            }
        });
        let mut found: Vec<String> = lines(&path);
        for number in 1..=KEPT {
            found.extend(lines(&numbered(&path, number)));
        }
        found.sort();
        let all = (0..writers).flat_map(|writer| {
            (0..each).map(move |number| format!("writer {writer:02} {number:03}"))
        });
        assert_eq!(found, all.collect::<Vec<_>>());
        assert!(numbered(&path, 1).exists(), "nothing was moved");
    }

    #[test]
    fn what_is_no_plain_file_is_not_moved() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::os::unix::fs::symlink(&real, &link).unwrap();
        append(&link, "one\n", 1);
        append(&link, "two\n", 1);
        assert_eq!(lines(&real), ["one", "two"]);
        assert!(link.is_symlink());
        append(Path::new("/dev/null"), "line\n", 1);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_nobodys_problem() {
        for path in ["/nonexistent/folder/log", "/proc/self/mem/x", "/"] {
            append(Path::new(path), "line\n", 10);
        }
    }
}
