//! Documents put together of parts: a page of the listing is what it says of the catalogue, which is
//! another at every change, and what it says of its datasets, which is written and packed once.
//!
//! In: documents that `emit` wrote. Out: one document of two, as bytes or packed (RFC 1952), without
//! writing or packing the second again: its deflate blocks (RFC 1951) refer to nothing before them.

use std::io::Read as _;
use std::sync::Arc;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::emit::{Format, digest_bytes};
use crate::error::{Error, Result};

/// What follows in a document after its beginning, packed.
#[derive(Debug)]
pub struct Packed {
    /// Deflate blocks that end at a byte and are not the last.
    blocks: Vec<u8>,
    crc: Crc,
    digest: String,
}

impl Packed {
    /// Of a whole document in a form, the part that can stand in another one.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is no document of that form.
    pub fn of(format: Format, whole: &[u8]) -> Result<Self> {
        let inner = inner(format, whole)?;
        let mut crc = Crc::new();
        crc.update(&inner);
        let blocks = deflate(&inner, FlushCompress::Full)?;
        Ok(Self { blocks, crc, digest: digest_bytes(&inner) })
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        self.blocks.len() + self.digest.len() + size_of::<Self>()
    }
}

/// A document in two parts.
#[derive(Debug)]
pub struct Parts {
    open: Vec<u8>,
    body: Arc<Packed>,
    close: &'static [u8],
}

impl Parts {
    /// A whole document, and the body of another in the same form that is to follow in it.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is no document of that form.
    pub fn new(format: Format, mut whole: Vec<u8>, body: Arc<Packed>) -> Result<Self> {
        let close = ending(format);
        if !whole.ends_with(close) {
            return Err(strange(format));
        }
        whole.truncate(whole.len() - close.len());
        Ok(Self { open: whole, body, close })
    }

    /// What strong tags are made of: of the parts, so that the body is not read again.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut text = digest_bytes(&self.open);
        text.push_str(&self.body.digest);
        digest_bytes(text.as_bytes())
    }

    /// The document, packed.
    ///
    /// # Errors
    /// [`Error::Internal`] when the compressor fails.
    pub fn gzip(&self) -> Result<Vec<u8>> {
        // Deflate, no flags, no time, no system: the same bytes everywhere.
        const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        let open = deflate(&self.open, FlushCompress::Full)?;
        let close = deflate(self.close, FlushCompress::Finish)?;
        let mut crc = Crc::new();
        crc.update(&self.open);
        crc.combine(&self.body.crc);
        crc.update(self.close);
        let length = crc.amount();
        Ok([
            &HEAD[..],
            &open,
            &self.body.blocks,
            &close,
            &crc.sum().to_le_bytes(),
            &length.to_le_bytes(),
        ]
        .concat())
    }

    /// The document as it is.
    ///
    /// # Errors
    /// [`Error::Internal`] when the body is none.
    pub fn plain(&self) -> Result<Vec<u8>> {
        let mut bytes = self.open.clone();
        let last = deflate(&[], FlushCompress::Finish)?;
        flate2::read::DeflateDecoder::new(self.body.blocks.chain(&*last))
            .read_to_end(&mut bytes)
            .map_err(|failure| Error::Internal(format!("a part of a page: {failure}")))?;
        bytes.extend_from_slice(self.close);
        Ok(bytes)
    }
}

fn strange(format: Format) -> Error {
    Error::Internal(format!("what was written is no document in {}", format.media_type()))
}

/// What stands at the end of every document of a form.
const fn ending(format: Format) -> &'static [u8] {
    match format {
        Format::Turtle | Format::NTriples | Format::NQuads => b"",
        Format::RdfXml => b"</rdf:RDF>",
        Format::JsonLd => b"\n  ]\n}",
    }
}

/// The part of a document that can follow in another one: Turtle and lines whole (a prefix may be
/// declared again), of RDF/XML what is in the root, of JSON-LD the nodes of its graph.
fn inner(format: Format, whole: &[u8]) -> Result<Vec<u8>> {
    let begin = match format {
        Format::NTriples | Format::NQuads => return Ok(whole.to_vec()),
        Format::Turtle => return Ok([b"\n", whole].concat()),
        Format::RdfXml => {
            let root = after(whole, b"<rdf:RDF").ok_or_else(|| strange(format))?;
            after(root, b">").ok_or_else(|| strange(format))?
        }
        Format::JsonLd => after(whole, b"\n  \"@graph\": [").ok_or_else(|| strange(format))?,
    };
    let inner = begin.strip_suffix(ending(format));
    match (format, inner) {
        (Format::JsonLd, Some(nodes)) => Ok([b",", nodes].concat()),
        (_, Some(inner)) => Ok(inner.to_vec()),
        // A graph without nodes.
        (Format::JsonLd, None) if begin == b"]\n}" => Ok(Vec::new()),
        (_, None) => Err(strange(format)),
    }
}

/// What follows after the first occurrence.
fn after<'t>(text: &'t [u8], mark: &[u8]) -> Option<&'t [u8]> {
    let place = text.windows(mark.len()).position(|window| window == mark)?;
    text.get(place + mark.len()..)
}

fn deflate(bytes: &[u8], flush: FlushCompress) -> Result<Vec<u8>> {
    let mut compress = Compress::new(Compression::new(7), false);
    let mut blocks = Vec::with_capacity(bytes.len() / 6 + 64);
    loop {
        let rest = usize::try_from(compress.total_in()).ok().and_then(|read| bytes.get(read..));
        let status = compress
            .compress_vec(rest.unwrap_or_default(), &mut blocks, flush)
            .map_err(|failure| Error::Internal(failure.to_string()))?;
        let is_read = compress.total_in() == bytes.len() as u64;
        // As long as it fills what it is given, there is more to come.
        if status == Status::StreamEnd
            || is_read && flush != FlushCompress::Finish && blocks.len() < blocks.capacity()
        {
            return Ok(blocks);
        }
        blocks.reserve(blocks.capacity().max(64));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Format, Packed, Parts};

    #[test]
    fn what_is_put_together_is_the_same_packed_and_plain() {
        let body: String = (0..40_000).map(|number| format!("<a> <b> \"{number}\" .\n")).collect();
        let packed = Arc::new(Packed::of(Format::NTriples, body.as_bytes()).unwrap());
        assert!(packed.size() < body.len() / 2);
        let parts = |open: &str| {
            Parts::new(Format::NTriples, open.as_bytes().to_vec(), Arc::clone(&packed)).unwrap()
        };
        for open in ["", "<c> <d> <e> .\n"] {
            let parts = parts(open);
            assert_eq!(parts.plain().unwrap(), format!("{open}{body}").as_bytes());
            let gzip = parts.gzip().unwrap();
            let mut plain = Vec::new();
            std::io::copy(&mut flate2::read::GzDecoder::new(&*gzip), &mut plain).unwrap();
            assert_eq!(plain, format!("{open}{body}").as_bytes());
        }
        assert_eq!(parts("a").digest(), parts("a").digest());
        assert_ne!(parts("a").digest(), parts("b").digest());
    }

    #[test]
    fn what_is_no_document_of_a_form_is_refused() {
        for (format, text) in [
            (Format::RdfXml, "<rdf:RDF/>"),
            (Format::RdfXml, "<rdf:RDF xmlns:a=\"b\"><a:C/>"),
            (Format::JsonLd, "{\n  \"@context\": {}\n}"),
            (Format::JsonLd, "{\n  \"@graph\": [{}]}"),
        ] {
            assert!(Packed::of(format, text.as_bytes()).is_err(), "{text}");
            let empty = Arc::new(Packed::of(Format::NTriples, b"").unwrap());
            assert!(Parts::new(format, text.as_bytes().to_vec(), empty).is_err(), "{text}");
        }
    }
}
