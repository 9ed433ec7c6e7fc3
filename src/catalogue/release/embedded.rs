//! The folder `catalogue/`, embedded in the binary; a folder of the configuration may replace
//! files of the same name.
//!
//! In: a path in that folder. Out: its text, or its rows with file and place of what is wrong.

use std::path::Path;

use include_dir::{Dir, include_dir};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/catalogue");

/// The sample descriptions of `catalogue/descriptions/`: slug and text.
#[must_use]
pub fn samples() -> Vec<(String, &'static str)> {
    let mut samples: Vec<_> = FILES
        .get_dir("descriptions")
        .into_iter()
        .flat_map(Dir::files)
        .filter_map(|file| {
            let slug = file.path().file_stem()?.to_str()?;
            Some((slug.to_owned(), file.contents_utf8()?))
        })
        .collect();
    samples.sort();
    samples
}

pub(super) fn text(path: &str, folder: Option<&Path>) -> Result<String> {
    if let Some(folder) = folder {
        let own = folder.join(path);
        if own.is_file() {
            return std::fs::read_to_string(&own).map_err(|failure| {
                Error::Configuration(format!("{}: cannot be read ({failure})", own.display()))
            });
        }
    }
    FILES
        .get_file(path)
        .and_then(include_dir::File::contents_utf8)
        .map(str::to_owned)
        .ok_or_else(|| Error::Configuration(format!("catalogue/{path}: there is no such file")))
}

pub(in crate::catalogue) fn read<T: DeserializeOwned>(
    path: &str,
    folder: Option<&Path>,
) -> Result<T> {
    toml::from_str(&text(path, folder)?).map_err(|failure| {
        Error::Configuration(format!("catalogue/{path}: {}", failure.to_string().trim()))
    })
}
