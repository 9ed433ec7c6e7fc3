//! Numbers and quantities (FHIR R4 search, 3.1.1.4.6 and 3.1.1.4.12): a number stands for the
//! interval that its digits leave open, `5.4` for 5.35 to 5.45.

use super::prefix::Prefix;
use super::{split, unescape};

/// `[prefix]number|system|code` or `[prefix]number||unit`; of a number, what stands before `|`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QuantityTest {
    prefix: Prefix,
    value: f64,
    /// Half of the last digit.
    reach: f64,
    system: Option<String>,
    /// A code, or without a system a unit as well.
    code: Option<String>,
}

impl QuantityTest {
    /// Reads one value; `Err` says what is wrong with it.
    pub(crate) fn parse(raw: &str, has_unit: bool) -> Result<Self, String> {
        let parts = split(raw, '|');
        let (number, system, code) = match parts.as_slice() {
            [number] => (number, None, None),
            [number, system, code] if has_unit => (number, Some(system), Some(code)),
            _ => return Err(format!("`{raw}` is not `number|system|code`")),
        };
        let (prefix, number) = Prefix::of(number);
        let is_number = number.starts_with(|first: char| first.is_ascii_digit() || first == '-');
        let value = number.parse::<f64>().ok().filter(|value| is_number && value.is_finite());
        let value = value.ok_or_else(|| {
            format!("`{raw}` is no number, perhaps after eq, ne, gt, lt, ge, le, sa, eb or ap")
        })?;
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let exponent = exponent.parse::<i32>().unwrap_or(0);
        let decimals = i32::try_from(decimals).unwrap_or(i32::MAX);
        let reach = 0.5 * 10_f64.powi(exponent.saturating_sub(decimals));
        let text = |part: &String| Some(unescape(part)).filter(|text| !text.is_empty());
        Ok(Self { prefix, value, reach, system: system.and_then(text), code: code.and_then(text) })
    }

    /// Whether a value from `low` to `high` matches.
    pub(crate) fn matches(&self, low: f64, high: f64, unit: &Unit<'_>) -> bool {
        let has_unit = match (&self.system, &self.code) {
            (system, Some(code)) => {
                let is_code = unit.code == Some(code.as_str());
                match system {
                    Some(system) => unit.system == Some(system.as_str()) && is_code,
                    None => is_code || unit.unit == Some(code.as_str()),
                }
            }
            (Some(system), None) => unit.system == Some(system.as_str()),
            (None, None) => true,
        };
        let (from, to) = (self.value - self.reach, self.value + self.reach);
        let is_within = from <= low && high < to;
        has_unit
            && match self.prefix {
                Prefix::Eq => is_within,
                Prefix::Ne => !is_within,
                Prefix::Gt => high > self.value,
                Prefix::Lt => low < self.value,
                Prefix::Ge => high >= self.value,
                Prefix::Le => low <= self.value,
                Prefix::Sa => low >= to,
                Prefix::Eb => high < from,
                Prefix::Ap => {
                    let near = self.value.abs() / 10.0 + self.reach;
                    low <= self.value + near && high >= self.value - near
                }
            }
    }
}

/// The unit of a quantity.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unit<'a> {
    pub(crate) system: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    pub(crate) unit: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::{QuantityTest, Unit};

    #[test]
    fn a_number_is_as_wide_as_its_digits_and_a_unit_must_be_the_same() {
        let unit = Unit { system: Some("http://u"), code: Some("mm"), unit: Some("millimetre") };
        for (raw, value, matches) in [
            ("5.4", 5.4, true),
            ("5.4", 5.44, true),
            ("5.4", 5.46, false),
            ("5.40", 5.44, false),
            ("1e2", 149.0, true),
            ("1.0e2", 149.0, false),
            ("ne5.4", 5.44, false),
            ("gt5.4", 5.4, false),
            ("gt5.4", 5.41, true),
            ("ge5.4", 5.4, true),
            ("lt5.4", 5.39, true),
            ("le5.4", 5.4, true),
            ("sa5.4", 5.41, false),
            ("sa5.4", 5.5, true),
            ("eb5.4", 5.3, true),
            ("ap100", 109.0, true),
            ("ap100", 120.0, false),
            ("-5", -5.0, true),
            ("5.4|http://u|mm", 5.4, true),
            ("5.4|http://v|mm", 5.4, false),
            ("5.4||mm", 5.4, true),
            ("5.4||millimetre", 5.4, true),
            ("5.4||cm", 5.4, false),
        ] {
            let test = QuantityTest::parse(raw, true).unwrap();
            assert_eq!(test.matches(value, value, &unit), matches, "{raw} {value}");
        }
        for wrong in ["", "x", "5|a", "gt", "inf", "nan", "5|a|b|c", "1e999", "+5"] {
            assert!(QuantityTest::parse(wrong, true).is_err(), "{wrong}");
        }
        assert!(QuantityTest::parse("5|a|b", false).is_err());
    }
}
