//! What both edges for machines read and write of HTTP alike: weights, content coding, encoded names
//! and values, dates.
//!
//! In: headers. Out: what they mean (RFC 9110). Absent: which media types an edge serves, and
//! when a reader has an answer already, which each edge decides.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, HeaderMap};
use bytes::Bytes;

/// Seconds after which a client may ask again what failed in passing.
pub const RETRY_AFTER: &str = "5";

/// A name of a list (a media range, a coding) and its quality in thousandths (section 12.4.2);
/// `None`: it cannot be understood.
#[must_use]
pub fn weighed(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';');
    let name = parts.next()?.trim().to_ascii_lowercase();
    if name.is_empty() {
        return None;
    }
    let mut quality = 1000;
    for parameter in parts {
        if let Some(value) =
            parameter.trim().strip_prefix("q=").or_else(|| parameter.trim().strip_prefix("Q="))
        {
            let value: f32 = value.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q))?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 1000
            {
                quality = (value * 1000.0).round() as u16;
            }
        }
    }
    Some((name, quality))
}

/// Whether the reader takes gzip (section 12.5.3): what is named stands above `*`.
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings: Vec<(String, u16)> = headers
        .get_all(header::ACCEPT_ENCODING)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .take(50)
        .filter_map(weighed)
        .collect();
    let find = |wanted: &str| codings.iter().find(|(coding, _)| coding == wanted).map(|(_, q)| *q);
    find("gzip").or_else(|| find("x-gzip")).or_else(|| find("*")).is_some_and(|quality| quality > 0)
}

/// A name or a value of a query as it was before it was encoded, as forms are
/// (`application/x-www-form-urlencoded`); `None`: it is not percent-encoded UTF-8.
#[must_use]
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut input = text.bytes();
    while let Some(byte) = input.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || char::from(input.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// A date as HTTP writes it (section 5.6.7).
#[must_use]
pub fn http_date(time: jiff::Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A body that many readers share, handed on in pieces: the framework copies what it is given before it
/// writes, and so a reader who is slow holds a piece of it and not another whole.
#[derive(Debug)]
pub struct InPieces(pub Bytes);

/// Bytes of a piece: what the framework's write buffer holds by itself.
const PIECE: usize = 32 * 1024;

impl MessageBody for InPieces {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let rest = &mut self.0;
        let piece = rest.split_to(rest.len().min(PIECE));
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::{InPieces, PIECE, decoded, http_date, takes_gzip};
    use actix_web::body::{BodySize, MessageBody};
    use actix_web::http::header::{self, HeaderMap, HeaderValue};
    use bytes::Bytes;

    #[test]
    fn gzip_is_sent_only_to_who_takes_it() {
        for (value, expected) in [
            ("gzip, deflate, br", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*, GZIP; q=0.000", false),
            ("identity", false),
            ("*", true),
            ("*;q=0.5", true),
            ("*;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
            assert_eq!(takes_gzip(&headers), expected, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_body_comes_in_pieces_and_whole() {
        let whole: Bytes = (0..=u8::MAX).cycle().take(2 * PIECE + 1).collect();
        let mut body = InPieces(whole.clone());
        assert_eq!(body.size(), BodySize::Sized(65_537));
        let mut context = Context::from_waker(Waker::noop());
        let mut pieces = Vec::new();
        while let Poll::Ready(Some(Ok(piece))) = Pin::new(&mut body).poll_next(&mut context) {
            pieces.push(piece);
        }
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, PIECE, 1]);
        assert_eq!(pieces.concat(), whole);
    }

    #[test]
    fn dates_are_written_as_http_writes_them() {
        assert_eq!(
            http_date("1994-11-06T08:49:37Z".parse().unwrap()),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }

    #[test]
    fn what_is_no_percent_encoded_utf_8_is_not_decoded() {
        assert_eq!(decoded("a+b%20%c3%A9%2B").as_deref(), Some("a b é+"));
        for broken in ["%", "%4", "%4g", "%+1", "%ff", "%c3"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
