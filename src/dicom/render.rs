//! Native pixels as a picture for the screen (PS3.18 section 8.3.5): window, inversion, scale.
//!
//! In: the bytes of one uncompressed frame. Out: eight bits a sample, grey or red-green-blue, as
//! PNG or JPEG. Absent: decoding of compressed pixel data, palettes, presentation states.

use super::pixels::Pixels;

/// Pixels of a frame that are rendered.
const LARGEST: u64 = 64 << 20;

/// The formats that are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `image/jpeg`, the default of PS3.18 section 8.7.4.
    Jpeg,
    /// `image/png`.
    Png,
}

/// How a picture is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    /// Centre and width; `None`: those of the data set, else from the least to the greatest value.
    pub window: Option<(f64, f64)>,
    /// The function of the window (PS3.3 C.11.2.1.3.1); `None`: that of the data set.
    pub function: Option<Function>,
    /// The box that the picture is to fit into.
    pub viewport: Option<(u32, u32)>,
    /// Of JPEG, 1 to 100.
    pub quality: u8,
    /// Of the picture.
    pub format: Format,
}

/// The function of a window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Function {
    /// `LINEAR`
    Linear,
    /// `LINEAR_EXACT`
    LinearExact,
    /// `SIGMOID`
    Sigmoid,
}

impl Function {
    /// By the name in the data set, or in the parameter `window` (`linear-exact`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "linear" => Some(Self::Linear),
            "linear-exact" => Some(Self::LinearExact),
            "sigmoid" => Some(Self::Sigmoid),
            _ => None,
        }
    }

    /// Eight bits of a value (PS3.3 C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2).
    fn apply(self, value: f64, (center, width): (f64, f64)) -> f64 {
        let scaled = match self {
            Self::Linear if width <= 1.0 => f64::from(value > center - 0.5),
            Self::Linear => (value - (center - 0.5)) / (width - 1.0) + 0.5,
            Self::LinearExact => (value - center) / width + 0.5,
            Self::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        };
        (scaled * 255.0).round().clamp(0.0, 255.0)
    }
}

/// Why there is no picture: what cannot be rendered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unrendered(pub String);

fn unrendered<T>(reason: impl Into<String>) -> Result<T, Unrendered> {
    Err(Unrendered(reason.into()))
}

/// Whether frames of these pixels can be rendered once they are uncompressed.
///
/// # Errors
/// Why not.
pub fn check(pixels: &Pixels) -> Result<(), Unrendered> {
    let count = u64::from(pixels.rows) * u64::from(pixels.columns);
    if count == 0 || count > LARGEST {
        return unrendered(format!("{} × {} pixels", pixels.columns, pixels.rows));
    }
    let stored = pixels.bits_stored;
    match (&*pixels.photometric_interpretation, pixels.samples_per_pixel, pixels.bits_allocated) {
        ("MONOCHROME1" | "MONOCHROME2", 1, 8 | 16) | ("RGB" | "YBR_FULL", 3, 8)
            if (1..=pixels.bits_allocated).contains(&stored)
                && pixels.high_bit.checked_sub(stored - 1).is_some()
                && pixels.high_bit < pixels.bits_allocated =>
        {
            Ok(())
        }
        (photometric, samples, bits) => unrendered(format!(
            "PhotometricInterpretation `{}` with {samples} samples of {bits} bits, {stored} of \
             them used",
            photometric.chars().filter(|c| !c.is_control()).take(16).collect::<String>()
        )),
    }
}

/// The picture of one native frame, little endian.
///
/// # Errors
/// When it cannot be rendered.
pub fn render(pixels: &Pixels, bytes: &[u8], wish: &Wish) -> Result<Vec<u8>, Unrendered> {
    check(pixels)?;
    let is_grey = pixels.samples_per_pixel == 1;
    let samples = if is_grey { grey(pixels, bytes, wish) } else { colour(pixels, bytes) };
    let count = (pixels.rows as usize) * (pixels.columns as usize);
    let channels = if is_grey { 1 } else { 3 };
    if samples.len() != count * channels {
        return unrendered("fewer pixel data than the frame should have");
    }
    let size = (pixels.columns, pixels.rows);
    let (samples, (columns, rows)) = scaled(samples, channels, size, wish.viewport);
    write(&samples, columns, rows, is_grey, wish)
}

/// A stored value of one sample (PS3.5 section 8.1.1).
fn stored(pixels: &Pixels, raw: u16) -> f64 {
    let shift = (pixels.high_bit + 1).saturating_sub(pixels.bits_stored);
    let mask =
        if pixels.bits_stored >= 16 { u32::from(u16::MAX) } else { (1 << pixels.bits_stored) - 1 };
    let value = (u32::from(raw) >> shift) & mask;
    if pixels.is_signed && value >> (pixels.bits_stored - 1) == 1 {
        f64::from(value) - f64::from(mask) - 1.0
    } else {
        f64::from(value)
    }
}

fn grey(pixels: &Pixels, bytes: &[u8], wish: &Wish) -> Vec<u8> {
    let words: Vec<u16> = if pixels.bits_allocated == 8 {
        bytes.iter().map(|byte| u16::from(*byte)).collect()
    } else {
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
    };
    let (slope, intercept) = pixels.rescale;
    let value = |raw: u16| stored(pixels, raw).mul_add(slope, intercept);
    let function =
        wish.function.or_else(|| Function::parse(&pixels.voi_function)).unwrap_or(Function::Linear);
    let given = wish.window.or(pixels.window).filter(|(_, width)| *width > 0.0);
    let (window, function) = given.map_or_else(
        || {
            let (low, high) = words.iter().fold((f64::MAX, f64::MIN), |(low, high), raw| {
                let value = value(*raw);
                (low.min(value), high.max(value))
            });
            (((low + high) / 2.0, (high - low).max(1.0)), Function::LinearExact)
        },
        |window| (window, function),
    );
    let is_inverse = pixels.photometric_interpretation == "MONOCHROME1";
    // One entry for each value that a word can have is less work than one for each pixel.
    let table: Vec<u8> = (0..=u16::MAX)
        .take(if pixels.bits_allocated == 8 { 256 } else { 1 << 16 })
        .map(|raw| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
            let shade = function.apply(value(raw), window) as u8;
            if is_inverse { 255 - shade } else { shade }
        })
        .collect();
    words.iter().map(|raw| table.get(usize::from(*raw)).copied().unwrap_or(0)).collect()
}

fn colour(pixels: &Pixels, bytes: &[u8]) -> Vec<u8> {
    let count = (pixels.rows as usize) * (pixels.columns as usize);
    let mut out = Vec::with_capacity(count * 3);
    let is_ybr = pixels.photometric_interpretation == "YBR_FULL";
    for at in 0..count {
        let sample = |channel: usize| {
            let place = if pixels.is_planar { channel * count + at } else { at * 3 + channel };
            bytes.get(place).copied()
        };
        let (Some(a), Some(b), Some(c)) = (sample(0), sample(1), sample(2)) else { break };
        if is_ybr {
            out.extend_from_slice(&ybr(a, b, c));
        } else {
            out.extend_from_slice(&[a, b, c]);
        }
    }
    out
}

/// PS3.3 C.7.6.3.1.2, the inverse.
fn ybr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|value| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let byte = value.round().clamp(0.0, 255.0) as u8;
        byte
    })
}

/// The picture as large as fits into the viewport, its proportions kept (PS3.18 8.3.5.1.3): each
/// pixel is the mean of those that it covers, or the nearest.
fn scaled(
    samples: Vec<u8>,
    channels: usize,
    (columns, rows): (u32, u32),
    viewport: Option<(u32, u32)>,
) -> (Vec<u8>, (u32, u32)) {
    let Some((width, height)) = viewport else { return (samples, (columns, rows)) };
    let factor = (f64::from(width) / f64::from(columns)).min(f64::from(height) / f64::from(rows));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within viewport")]
    let fit = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
    let (new_columns, new_rows) = (fit(columns), fit(rows));
    let span = |at: u32, of: u32, from: u32| {
        let low = u64::from(at) * u64::from(from) / u64::from(of);
        let high = (u64::from(at + 1) * u64::from(from)).div_ceil(u64::from(of));
        (low as usize, (high as usize).max(low as usize + 1))
    };
    let mut out = Vec::with_capacity(new_columns as usize * new_rows as usize * channels);
    for row in 0..new_rows {
        let (top, bottom) = span(row, new_rows, rows);
        for column in 0..new_columns {
            let (left, right) = span(column, new_columns, columns);
            for channel in 0..channels {
                let (mut sum, mut count) = (0_u64, 0_u64);
                for y in top..bottom {
                    for x in left..right {
                        let place = (y * columns as usize + x) * channels + channel;
                        sum += samples.get(place).copied().map_or(0, u64::from);
                        count += 1;
                    }
                }
                out.push(u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX));
            }
        }
    }
    (out, (new_columns, new_rows))
}

fn write(
    samples: &[u8],
    columns: u32,
    rows: u32,
    is_grey: bool,
    wish: &Wish,
) -> Result<Vec<u8>, Unrendered> {
    let mut out = Vec::new();
    let failed = |reason: String| Unrendered(format!("the picture cannot be written: {reason}"));
    match wish.format {
        Format::Png => {
            let mut encoder = png::Encoder::new(&mut out, columns, rows);
            encoder.set_color(if is_grey {
                png::ColorType::Grayscale
            } else {
                png::ColorType::Rgb
            });
            encoder.set_depth(png::BitDepth::Eight);
            let mut writer = encoder.write_header().map_err(|error| failed(error.to_string()))?;
            writer.write_image_data(samples).map_err(|error| failed(error.to_string()))?;
            writer.finish().map_err(|error| failed(error.to_string()))?;
        }
        Format::Jpeg => {
            let (Ok(columns), Ok(rows)) = (u16::try_from(columns), u16::try_from(rows)) else {
                return unrendered("a JPEG is at most 65,535 pixels wide and high");
            };
            let colour =
                if is_grey { jpeg_encoder::ColorType::Luma } else { jpeg_encoder::ColorType::Rgb };
            jpeg_encoder::Encoder::new(&mut out, wish.quality)
                .encode(samples, columns, rows, colour)
                .map_err(|error| failed(error.to_string()))?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{Format, Function, Wish, check, render, stored};
    use crate::dicom::pixels::Pixels;

    fn pixels() -> Pixels {
        Pixels {
            rows: 2,
            columns: 2,
            photometric_interpretation: "MONOCHROME2".to_owned(),
            bits_allocated: 16,
            bits_stored: 12,
            high_bit: 11,
            ..Pixels::default()
        }
    }

    fn shades(pixels: &Pixels, bytes: &[u8], wish: Wish) -> Vec<u8> {
        let file = render(pixels, bytes, &wish).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut out = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut out).unwrap();
        out
    }

    const PNG: Wish =
        Wish { window: None, function: None, viewport: None, quality: 90, format: Format::Png };

    #[test]
    fn a_window_spreads_values_over_the_shades() {
        let values: Vec<u8> =
            [0_u16, 1000, 2000, 4000].iter().flat_map(|v| v.to_le_bytes()).collect();
        // Without a window: from the least to the greatest.
        assert_eq!(shades(&pixels(), &values, PNG), [0, 64, 128, 255]);
        let wish =
            Wish { window: Some((1000.0, 2000.0)), function: Some(Function::LinearExact), ..PNG };
        assert_eq!(shades(&pixels(), &values, wish), [0, 128, 255, 255]);
        let inverse = Pixels { photometric_interpretation: "MONOCHROME1".to_owned(), ..pixels() };
        assert_eq!(shades(&inverse, &values, wish), [255, 127, 0, 0]);
        let rescaled = Pixels { rescale: (1.0, -1000.0), ..pixels() };
        let wish = Wish { window: Some((0.0, 2000.0)), ..wish };
        assert_eq!(shades(&rescaled, &values, wish), [0, 128, 255, 255]);
    }

    #[test]
    fn signed_values_are_those_of_the_bits_that_are_stored() {
        let signed = Pixels { is_signed: true, ..pixels() };
        assert!((stored(&signed, 0x0fff) + 1.0).abs() < f64::EPSILON);
        // What stands above the stored bits is an overlay of old.
        assert!((stored(&pixels(), 0xf123) - f64::from(0x123)).abs() < f64::EPSILON);
    }

    #[test]
    fn a_viewport_keeps_the_proportions() {
        let values: Vec<u8> = [0_u16, 0, 4000, 4000].iter().flat_map(|v| v.to_le_bytes()).collect();
        let wish = Wish { viewport: Some((1, 9)), ..PNG };
        assert_eq!(shades(&pixels(), &values, wish), [127]);
    }

    #[test]
    fn what_cannot_be_shown_is_refused_and_never_indexed() {
        let palette = Pixels { photometric_interpretation: "PALETTE COLOR".to_owned(), ..pixels() };
        assert!(check(&palette).is_err());
        for (stored, high) in [(0, 11), (17, 16), (12, 3), (12, 16)] {
            let odd = Pixels { bits_stored: stored, high_bit: high, ..pixels() };
            assert!(check(&odd).is_err(), "{stored} {high}");
        }
        assert!(render(&pixels(), &[0, 0], &PNG).is_err());
        assert!(check(&Pixels { rows: u32::MAX, columns: u32::MAX, ..pixels() }).is_err());
    }
}
