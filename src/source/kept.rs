//! A file that a folder gave, opened again: the same bytes as then, or none.
//!
//! In: what the journal holds of it. Out: the file, if it is still there, inside the folder, with
//! the size and the modification time that it was read under.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, PathBuf};

use super::Stamp;
use super::folder::stamp;

/// Why the file cannot be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gone {
    /// It is no longer there, or no longer a file inside the folder.
    Vanished,
    /// It is there with another size or modification time.
    Changed,
    /// It is there and cannot be opened.
    Unreadable,
}

/// Opens a file of a folder. `folder` and `origin` are spelled as the journal has them.
///
/// # Errors
/// When it is not the file that was read.
pub fn open(folder: &str, origin: &str, known: Stamp) -> Result<File, Gone> {
    let of = |failure: std::io::Error| match failure.kind() {
        std::io::ErrorKind::PermissionDenied => Gone::Unreadable,
        _ => Gone::Vanished,
    };
    let (Some(root), Some(inside)) = (path(folder), path(origin)) else {
        return Err(Gone::Vanished);
    };
    // The journal holds no such path: it would be damaged, or not ours.
    if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Gone::Vanished);
    }
    // The folder of the run was spelled without links; one that stands there now leads elsewhere.
    let real = root.join(inside).canonicalize().map_err(of)?;
    if !real.starts_with(&root) {
        return Err(Gone::Vanished);
    }
    // A pipe that stands where a file was must not block.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(real)
        .map_err(of)?;
    let metadata = file.metadata().map_err(of)?;
    if !metadata.is_file() {
        return Err(Gone::Vanished);
    }
    if stamp(&metadata) != known {
        return Err(Gone::Changed);
    }
    Ok(file)
}

/// The path behind its text: `\xHH` stands for a byte that is written so.
fn path(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = behind;
            continue;
        }
        let digits = behind.strip_prefix(b"x").and_then(|digits| digits.get(..2))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind.get(3..)?;
    }
    (!bytes.contains(&0)).then(|| PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Gone, open};
    use crate::source::folder::{Folder, Remembered};
    use crate::source::{Item, Source as _, Stamp};

    /// What the journal holds of a folder's files.
    fn seen(folder: &Path) -> (String, Vec<(String, Stamp)>) {
        let mut source = Folder::in_process(folder).unwrap();
        let mut all = Vec::new();
        source
            .read(&Remembered::default(), &mut |item| {
                if let Item::NotDicom { origin, stamp } = item {
                    all.push((origin, stamp));
                }
                Ok(())
            })
            .unwrap();
        (source.locator(), all)
    }

    #[test]
    fn a_file_is_found_again_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        for name in [&b"plain"[..], b"a\xffb", br"a\xffb", b"a\nb", "\u{e9}".as_bytes()] {
            std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
        }
        let (root, files) = seen(dir.path());
        assert_eq!(files.len(), 5);
        let mut contents = Vec::new();
        for (origin, stamp) in &files {
            let mut content = Vec::new();
            open(&root, origin, *stamp).unwrap().read_to_end(&mut content).unwrap();
            contents.push(content);
        }
        contents.sort();
        contents.dedup();
        assert_eq!(contents.len(), 5);
    }

    #[test]
    fn another_file_in_its_place_is_not_opened() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "12").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "12").unwrap();
        let (root, files) = seen(dir.path());
        let (_, stamp) = files[0];
        let opened = |origin: &str, stamp| open(&root, origin, stamp).map(drop);
        assert_eq!(opened("a", stamp), Ok(()));
        assert_eq!(opened("a", Stamp { size: 3, ..stamp }), Err(Gone::Changed));
        assert_eq!(opened("a", Stamp { mark: 3, ..stamp }), Err(Gone::Changed));
        assert_eq!(opened("b", stamp), Err(Gone::Vanished));
        for outside in ["../a", "/etc/passwd", "", ".", r"a\x", r"\x00"] {
            assert_eq!(opened(outside, stamp), Err(Gone::Vanished), "{outside}");
        }
        std::fs::remove_file(dir.path().join("a")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("a")).unwrap();
        assert_eq!(opened("a", stamp), Err(Gone::Vanished));
    }
}
