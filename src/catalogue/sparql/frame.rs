//! What the server and its worker say to each other: frames of bytes behind their length, the
//! question and the kind of the answer as JSON.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::{Graphs, ResultsFormat};

const MAX_FRAME: usize = 1 << 30;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Ask {
    pub(super) text: String,
    pub(super) results: Option<ResultsFormat>,
    pub(super) graph: Option<String>,
    #[serde(default)]
    pub(super) graphs: Graphs,
    pub(super) rows: usize,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Reply {
    Done { media_type: String, is_truncated: bool },
    Invalid(String),
    NotAcceptable(String),
    TooCostly(String),
}

pub(super) fn read_frame(input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn write_frame(output: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    output.write_all(&(bytes.len() as u64).to_le_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}
