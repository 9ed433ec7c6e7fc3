//! Rendered pictures of native frames (PS3.18 sections 8.3.5 and 10.4.1.1.3).

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use super::accept::only;
use super::address::Target;
use super::body::{begin, is_known, mark, unchanged};
use super::frames::{NATIVE, Opened, open};
use super::problem::{Failure, Result};
use super::{Asking, pacs};
use crate::dicom::Part10;
use crate::dicom::pixels::Uncut;
use crate::dicom::render::{Format, Function, Unrendered, Wish, check, render};

/// The parameters of a rendering that are passed on to a server.
pub(super) const PARAMETERS: &[&str] = &["window", "viewport", "quality"];
/// The side of a picture at most.
const SIDE: u32 = 4_096;

pub(super) async fn answer(
    asking: &Asking,
    target: &Target,
    frames: &Option<Vec<u32>>,
) -> Result<HttpResponse> {
    let media = only(asking, &["image/jpeg", "image/png"])?;
    if target.instance.is_none() {
        return Err(Failure::not_acceptable(
            "pictures are rendered of an instance and of its frames, not of a whole study or series",
        ));
    }
    let frame = match frames.as_deref() {
        None => 1,
        Some([frame]) => *frame,
        Some(_) => {
            return Err(Failure::not_acceptable("pictures are rendered of one frame at a time"));
        }
    };
    let wish = wish(asking, media)?;
    let (located, file) = match open(asking, target).await? {
        Opened::AtServer(located) => {
            super::frames::in_range(&located, &[frame])?;
            let path = match frames {
                None => "rendered".to_owned(),
                Some(_) => format!("frames/{frame}/rendered"),
            };
            return pacs::rendered(asking, target, &located, &path, media).await;
        }
        Opened::Here(located, file) => (located, file),
    };
    let stamp = located.wanted.first().and_then(|wanted| wanted.file.as_ref()).map(|k| k.stamp);
    let text = format!("{} {stamp:?} rendered {frame} {wish:?}", target.path());
    let etag = mark(asking, &[text, env!("CARGO_PKG_VERSION").to_owned()]).etag;
    if is_known(asking, &etag) {
        return Ok(unchanged(&etag));
    }
    // Whoever waits holds no frame in memory.
    let turn = asking.who.state.renders.acquire().await;
    let picture = asking.blocking(move |_| picture(&file, frame, &wish)).await?;
    drop(turn);
    let mut response = begin(StatusCode::OK, &etag);
    response.insert_header((header::CONTENT_TYPE, media));
    Ok(response.body(picture))
}

fn picture(file: &Part10, frame: u32, wish: &Wish) -> Result<Vec<u8>> {
    if !NATIVE.contains(&file.syntax()) {
        return Err(Failure::not_acceptable(format!(
            "pixel data are not decoded here, and these are in `transfer-syntax={}`; retrieve the \
             frame or the instance",
            file.syntax()
        )));
    }
    let pixels = file.pixels(frame).map_err(Uncut::from)?;
    let piece = file.frame(&pixels, frame)?;
    let refused = |Unrendered(reason): Unrendered| {
        Failure::not_acceptable(format!("the picture is not rendered here: {reason}"))
    };
    // Only what can be rendered is read, and that is bounded.
    check(&pixels).map_err(refused)?;
    let mut bytes = vec![0; usize::try_from(piece.length()).unwrap_or(0)];
    let mut at = 0;
    for (from, length) in &piece.ranges {
        let end = at + usize::try_from(*length).unwrap_or(0);
        let into = bytes.get_mut(at..end).unwrap_or_default();
        file.read_file(*from, into).map_err(|failure| Failure::internal(&failure))?;
        at = end;
    }
    if piece.swap > 1 {
        bytes.chunks_exact_mut(piece.swap).for_each(<[u8]>::reverse);
    }
    render(&pixels, &bytes, wish).map_err(refused)
}

fn wish(asking: &Asking, media: &str) -> Result<Wish> {
    let format = if media == "image/png" { Format::Png } else { Format::Jpeg };
    let mut wish = Wish { window: None, function: None, viewport: None, quality: 90, format };
    for (name, value) in &asking.parameters {
        let wrong = |rule: &str| Failure::bad(format!("parameter `{name}`: {rule}"));
        let parts: Vec<&str> = value.split(',').map(str::trim).collect();
        match name.as_str() {
            "window" => {
                let rule = "write centre, width and, if need be, `linear`, `linear-exact` or \
                            `sigmoid`, such as `40,400,linear`; the width is above 0";
                let (center, width, function) = match parts.as_slice() {
                    [center, width] => (center, width, None),
                    [center, width, function] => {
                        (center, width, Some(Function::parse(function).ok_or_else(|| wrong(rule))?))
                    }
                    _ => return Err(wrong(rule)),
                };
                let number = |text: &str| text.parse().ok().filter(|n: &f64| n.is_finite());
                let width = number(width).filter(|width| *width > 0.0);
                wish.window = Some(number(center).zip(width).ok_or_else(|| wrong(rule))?);
                wish.function = function;
            }
            "viewport" => {
                let rule = "write width and height in pixels, such as `512,512`; cutting a region \
                            out is not supported";
                let side = |text: &&str| text.parse().ok().filter(|n| (1..=SIDE).contains(n));
                wish.viewport = match parts.as_slice() {
                    [width, height] => {
                        Some(side(width).zip(side(height)).ok_or_else(|| wrong(rule))?)
                    }
                    _ => return Err(wrong(rule)),
                };
            }
            "quality" => {
                let quality = value.parse().ok().filter(|n| (1..=100).contains(n));
                wish.quality = quality.ok_or_else(|| wrong("write a number from 1 to 100"))?;
            }
            // `annotation` and `iccprofile` are wishes that need not be granted (8.3.5.1).
            _ => {}
        }
    }
    Ok(wish)
}
