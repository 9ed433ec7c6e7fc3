//! Counts as charts that are their own data tables.
//!
//! A chart of unordered terms is a table with a bar in each row; one of ordered terms (ages,
//! years) is a row of columns above its table. Bars are inline SVG with geometry in attributes,
//! because the page's content security policy allows no inline style; the words stay HTML, so
//! that they wrap, zoom and can be read aloud.

use super::tongue::Tongue;

/// What one term counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bar {
    /// The term, for people.
    pub label: String,
    /// The language of the term, where it is not the page's.
    pub lang: String,
    /// The count.
    pub count: Count,
}

/// A count as it was published.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Count {
    /// Studies and persons.
    Shown(u64, u64),
    /// Large enough, but shown it would let a small one be worked out.
    Withheld,
    /// Fewer persons than the threshold, none among them: the term was not published.
    #[default]
    Few,
}

/// The shape of a chart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// Unordered terms: a bar in each row.
    Rows,
    /// Ordered terms: columns.
    Columns,
}

/// A row of the chart as the template needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The term.
    pub label: String,
    /// Its language, where it is not the page's.
    pub lang: String,
    /// The label below a column: short.
    pub tick: String,
    /// Whether the label is left out on narrow screens.
    pub is_minor: bool,
    /// Whether the label is left out on any screen: there are too many columns.
    pub is_bare: bool,
    /// Length of the bar, 0 to 100.
    pub length: String,
    /// Where a column begins from the left.
    pub x: String,
    /// Where a column begins from the top.
    pub y: String,
    /// Studies, for people.
    pub records: String,
    /// Persons, for people.
    pub individuals: String,
    /// Whether the count is not shown.
    pub is_hidden: bool,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Part of its ids in the page.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What a row of the table is.
    pub head: &'static str,
    /// Its shape.
    pub shape: Shape,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Rows after the first dozen, folded away.
    pub more: Vec<Row>,
    /// Whether a count of it is not shown.
    pub has_hidden: bool,
    /// The chart in one sentence, for those who do not see it.
    pub summary: String,
    /// Width of the drawing's coordinate system.
    pub width: String,
    /// The greatest count, above the columns.
    pub top: String,
}

/// Rows of a chart that are shown at once.
const FIRST: usize = 10;
/// More columns than this would be thinner than a line; the first are folded into the table.
const COLUMNS: usize = 120;

impl Chart {
    /// A chart of bars; `None` without any. `threshold` is that of the disclosure rule, 0 when
    /// the figures are exact.
    #[must_use]
    pub fn new(
        id: &'static str,
        title: &'static str,
        head: &'static str,
        shape: Shape,
        mut bars: Vec<Bar>,
        threshold: u64,
        tongue: &'static Tongue,
    ) -> Option<Self> {
        if bars.is_empty() {
            return None;
        }
        if shape == Shape::Rows {
            bars.sort_by(|a, b| records(b).cmp(&records(a)).then_with(|| a.label.cmp(&b.label)));
        }
        let most = bars.iter().filter_map(records).max().unwrap_or(0);
        let step = (bars.len().div_ceil(5)).max(1);
        let wide_step = (bars.len().div_ceil(16)).max(1);
        let has_hidden = bars.iter().any(|bar| records(bar).is_none());
        let summary = summary(title, shape, &bars, most, has_hidden, tongue);
        let width = bars.len().min(COLUMNS) * 10;
        let mut rows: Vec<Row> = bars
            .iter()
            .enumerate()
            .map(|(place, bar)| row(place, bar, most, threshold, step, wide_step, tongue))
            .collect();
        let more = match shape {
            Shape::Rows if rows.len() > FIRST + 2 => rows.split_off(FIRST),
            Shape::Columns if rows.len() > COLUMNS => rows.split_off(COLUMNS),
            _ => Vec::new(),
        };
        Some(Self {
            id,
            title,
            head,
            shape,
            rows,
            more,
            has_hidden,
            summary,
            width: width.to_string(),
            top: tongue.count(most),
        })
    }

    /// Whether it is drawn as columns.
    #[must_use]
    pub fn is_columns(&self) -> bool {
        self.shape == Shape::Columns
    }

    /// Whether there is a count to draw at all.
    #[must_use]
    pub fn has_bars(&self) -> bool {
        self.rows.iter().any(|row| !row.is_hidden)
    }
}

fn records(bar: &Bar) -> Option<u64> {
    match bar.count {
        Count::Shown(records, _) => Some(records),
        Count::Withheld | Count::Few => None,
    }
}

fn row(
    place: usize,
    bar: &Bar,
    most: u64,
    threshold: u64,
    step: usize,
    wide_step: usize,
    tongue: &'static Tongue,
) -> Row {
    #[allow(clippy::cast_precision_loss, reason = "a length on a screen")]
    let share = match records(bar) {
        Some(0) => 0.0,
        Some(records) if most > 0 => (records as f64 / most as f64 * 100.0).clamp(0.5, 100.0),
        Some(_) => 0.0,
        None => 2.0,
    };
    let (records, individuals) = match bar.count {
        Count::Shown(records, individuals) => (tongue.count(records), tongue.count(individuals)),
        Count::Withheld => {
            let withheld = tongue.word("chart.withheld");
            (withheld.to_owned(), withheld.to_owned())
        }
        // A few persons may have many studies.
        Count::Few => (
            tongue.word("chart.not-shown").to_owned(),
            tongue.put("chart.fewer", tongue.count(threshold)),
        ),
    };
    let tick = bar.label.split_once('–').map_or(bar.label.as_str(), |(first, _)| first);
    Row {
        label: bar.label.clone(),
        lang: bar.lang.clone(),
        tick: tick.split(' ').next().unwrap_or_default().to_owned(),
        is_minor: !place.is_multiple_of(step),
        is_bare: !place.is_multiple_of(wide_step),
        length: decimal(share),
        x: (place * 10 + 1).to_string(),
        y: decimal(100.0 - share),
        records,
        individuals,
        is_hidden: !matches!(bar.count, Count::Shown(..)),
    }
}

fn decimal(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

fn summary(
    title: &str,
    shape: Shape,
    bars: &[Bar],
    most: u64,
    has_hidden: bool,
    tongue: &'static Tongue,
) -> String {
    let largest = bars.iter().find(|bar| records(bar) == Some(most) && most > 0);
    let mut text = match (shape, bars.first(), bars.last()) {
        (Shape::Columns, Some(first), Some(last)) if bars.len() > 1 => {
            format!("{title}, {}", tongue.put_two("chart.span", &first.label, &last.label))
        }
        _ => format!("{title}: {}", tongue.counted("value", bars.len() as u64)),
    };
    if let Some(largest) = largest {
        text.push_str("; ");
        text.push_str(&tongue.put_two("chart.most", &largest.label, tongue.count(most)));
    }
    if has_hidden {
        text.push_str("; ");
        text.push_str(tongue.word("chart.hidden"));
    }
    text.push('.');
    text
}

#[cfg(test)]
mod tests {
    use super::{Bar, Chart, Count, Shape};

    fn en() -> &'static super::Tongue {
        super::Tongue::english()
    }

    fn bar(label: &str, records: Option<u64>) -> Bar {
        let count = records.map_or(Count::Withheld, |records| Count::Shown(records, records));
        Bar { label: label.to_owned(), count, ..Bar::default() }
    }

    #[test]
    fn the_longest_bar_fills_the_row_and_hidden_ones_are_said() {
        let bars = vec![bar("SR", None), bar("CT", Some(50)), bar("MG", Some(200))];
        let chart = Chart::new("m", "Modality", "Modality", Shape::Rows, bars, 10, en()).unwrap();
        let rows: Vec<_> = chart
            .rows
            .iter()
            .map(|r| (r.label.as_str(), r.length.as_str(), r.records.as_str()))
            .collect();
        assert_eq!(rows, [("MG", "100", "200"), ("CT", "25", "50"), ("SR", "2", "withheld")]);
        assert!(chart.summary.contains("MG (200)") && chart.summary.contains("not shown"));
    }

    #[test]
    fn ordered_terms_keep_their_order_and_long_tables_fold() {
        let years = (2000..2024).map(|y| bar(&y.to_string(), Some(y))).collect();
        let chart = Chart::new("y", "Years", "Year", Shape::Columns, years, 0, en()).unwrap();
        assert_eq!(chart.rows.len(), 24);
        assert_eq!(chart.rows[1].x, "11");
        assert!(chart.rows[1].is_minor && !chart.rows[0].is_minor);
        let many = (0..40).map(|n| bar(&n.to_string(), Some(n))).collect();
        let chart = Chart::new("b", "Body", "Body", Shape::Rows, many, 0, en()).unwrap();
        assert_eq!((chart.rows.len(), chart.more.len()), (10, 30));
        assert!(Chart::new("n", "None", "None", Shape::Rows, Vec::new(), 0, en()).is_none());
    }

    #[test]
    fn few_persons_may_have_many_studies() {
        let few = Bar { label: "2020".to_owned(), ..Bar::default() };
        let bars = vec![bar("2019", Some(40)), few];
        let chart = Chart::new("y", "Years", "Year", Shape::Columns, bars, 10, en()).unwrap();
        let row = &chart.rows[1];
        assert_eq!(
            (row.records.as_str(), row.individuals.as_str()),
            ("not shown", "fewer than 10")
        );
    }

    #[test]
    fn a_table_of_hidden_counts_only_draws_nothing() {
        let chart = Chart::new("s", "Sex", "Sex", Shape::Rows, vec![bar("female", None)], 10, en())
            .unwrap();
        assert!(!chart.has_bars() && chart.has_hidden);
        let zero =
            Chart::new("s", "Sex", "Sex", Shape::Rows, vec![bar("x", Some(0))], 10, en()).unwrap();
        assert_eq!(zero.rows[0].length, "0");
    }
}
