//! The table of attributes, compiled for reading: tags instead of keywords, sorted.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::error::{Error, Result};
use crate::imaging::Keyword;
use crate::mapping::attributes::{AttributeTable, Level, Title};

/// A tag as one number that sorts like the tag: group in the upper half.
pub(super) const fn tag(group: u16, element: u16) -> u32 {
    (group as u32) << 16 | element as u32
}

/// `(gggg,eeee)`, for people.
pub(super) fn spell(tag: u32) -> String {
    format!("({:04X},{:04X})", tag >> 16, tag & 0xffff)
}

/// Where what was read goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Goal {
    /// Nowhere: a sequence on the way to something.
    Way,
    /// To a row of the table.
    Row(u16),
    /// To a row of the table, when the data set does not have it at the top.
    Within(u16),
    /// Into the item.
    Item,
}

/// An attribute that is read at some place of a data set.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) tag: u32,
    pub(super) keyword: Keyword,
    pub(super) vr: VR,
    pub(super) goal: Goal,
    /// For a sequence: the place that its items are.
    pub(super) items: Option<u16>,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) keyword: Keyword,
    pub(super) level: Level,
}

/// How much of a data set is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Items of one sequence.
    pub items: usize,
    /// Bytes of text that items may give together.
    pub text: usize,
}

impl Default for Bounds {
    /// Enough to describe an image.
    fn default() -> Self {
        Self { items: 64, text: 1 << 20 }
    }
}

/// The compiled table.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) bounds: Bounds,
    /// Places; the first is the top of a data set. Sorted by tag.
    places: Vec<Vec<Wanted>>,
    pub(super) rows: Vec<Row>,
    /// Rows in the order of their keywords, so that bags are filled at their end.
    pub(super) by_keyword: Vec<u16>,
    titles: Vec<(String, u16)>,
    descriptions: Vec<(String, u16)>,
    row_of: HashMap<&'static str, u16>,
    /// Every keyword that can occur, sorted: a record between processes names them by place.
    pub(super) keywords: Vec<Keyword>,
    table: AttributeTable,
}

static CURRENT: OnceLock<Plan> = OnceLock::new();

impl Plan {
    /// The plan in force: the one that [`Plan::install`] set, else the embedded table's.
    pub fn current() -> &'static Self {
        static EMBEDDED: LazyLock<Plan> = LazyLock::new(|| {
            #[allow(clippy::expect_used, reason = "a unit test compiles the embedded table")]
            Plan::new(AttributeTable::embedded()).expect("the embedded table compiles")
        });
        CURRENT.get().unwrap_or_else(|| &EMBEDDED)
    }

    /// Puts a plan in force for the life of the process, before anything is read.
    ///
    /// # Errors
    /// When one is in force already.
    pub fn install(self) -> Result<()> {
        CURRENT
            .set(self)
            .map_err(|_| Error::Internal("a table of attributes is in force already".to_owned()))
    }

    /// Compiles a table.
    ///
    /// # Errors
    /// When a row names a sequence without items, or items for what is no sequence.
    pub fn new(table: &AttributeTable) -> Result<Self> {
        let mut plan = Self {
            bounds: Bounds::default(),
            places: vec![Vec::new()],
            rows: Vec::new(),
            by_keyword: Vec::new(),
            titles: Vec::new(),
            descriptions: Vec::new(),
            row_of: HashMap::new(),
            keywords: Vec::new(),
            table: table.clone(),
        };
        let mut groups: HashMap<String, u16> = HashMap::new();
        for row in &table.attributes {
            let (keyword, tag, vr) = look_up(&row.keyword)?;
            let number = u16::try_from(plan.rows.len()).map_err(|_| too_many())?;
            plan.rows.push(Row { keyword, level: row.level });
            plan.row_of.insert(keyword.as_str(), number);
            let items = match (&row.items, vr == VR::SQ) {
                (Some(group), true) => Some(plan.group(table, group, &mut groups)?),
                (None, false) => None,
                (_, is_sequence) => {
                    let word = if is_sequence { "needs" } else { "has no" };
                    return Err(Error::Configuration(format!(
                        "attribute `{}`: {word} `items`",
                        row.keyword
                    )));
                }
            };
            plan.want(0, Wanted { tag, keyword, vr, goal: Goal::Row(number), items });
            for way in &row.within {
                let mut place = 0;
                for step in way {
                    let (keyword, tag, vr) = look_up(step)?;
                    if vr != VR::SQ {
                        return Err(Error::Configuration(format!("`{step}` is no sequence")));
                    }
                    place = plan.way(place, tag, keyword)?;
                }
                let goal = Goal::Within(number);
                plan.want(place, Wanted { tag, keyword, vr, goal, items });
            }
        }
        let row_of = &plan.row_of;
        let rows_of = |titles: &[Title]| {
            let row = |title: &Title| {
                Some((title.sop_class.clone(), *row_of.get(title.keyword.as_str())?))
            };
            titles.iter().filter_map(row).collect()
        };
        let (titles, descriptions) = (rows_of(&table.titles), rows_of(&table.descriptions));
        (plan.titles, plan.descriptions) = (titles, descriptions);
        for place in &mut plan.places {
            place.sort_by_key(|wanted| wanted.tag);
        }
        let mut order: Vec<u16> =
            (0..plan.rows.len()).filter_map(|n| u16::try_from(n).ok()).collect();
        order.sort_by_key(|row| plan.rows[usize::from(*row)].keyword);
        plan.by_keyword = order;
        plan.keywords = plan.places.iter().flatten().map(|wanted| wanted.keyword).collect();
        plan.keywords.sort_unstable();
        plan.keywords.dedup();
        Ok(plan)
    }

    /// The same attributes within other bounds: a manifest lists every instance of a study.
    #[must_use]
    pub const fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// The table that this is compiled from.
    #[must_use]
    pub const fn table(&self) -> &AttributeTable {
        &self.table
    }

    pub(super) fn find(&self, place: u16, tag: u32) -> Option<&Wanted> {
        let place = self.places.get(usize::from(place))?;
        place.binary_search_by_key(&tag, |wanted| wanted.tag).ok().and_then(|at| place.get(at))
    }

    pub(super) fn row(&self, keyword: &str) -> Option<u16> {
        self.row_of.get(keyword).copied()
    }

    /// The row that names instances of a SOP class.
    pub(super) fn title(&self, sop_class: &str) -> Option<u16> {
        first_that_fits(&self.titles, sop_class)
    }

    /// The row that describes instances of a SOP class.
    pub(super) fn description(&self, sop_class: &str) -> Option<u16> {
        first_that_fits(&self.descriptions, sop_class)
    }

    fn want(&mut self, place: u16, wanted: Wanted) {
        let place = &mut self.places[usize::from(place)];
        if place.iter().all(|known| known.tag != wanted.tag) {
            place.push(wanted);
        }
    }

    fn place(&mut self) -> Result<u16> {
        let number = u16::try_from(self.places.len()).map_err(|_| too_many())?;
        self.places.push(Vec::new());
        Ok(number)
    }

    fn way(&mut self, place: u16, tag: u32, keyword: Keyword) -> Result<u16> {
        let known = self.places[usize::from(place)].iter().find(|wanted| wanted.tag == tag);
        if let Some(items) = known.and_then(|wanted| wanted.items) {
            return Ok(items);
        }
        let items = self.place()?;
        let wanted = Wanted { tag, keyword, vr: VR::SQ, goal: Goal::Way, items: Some(items) };
        self.want(place, wanted);
        Ok(items)
    }

    fn group(
        &mut self,
        table: &AttributeTable,
        name: &str,
        known: &mut HashMap<String, u16>,
    ) -> Result<u16> {
        if let Some(place) = known.get(name) {
            return Ok(*place);
        }
        let group = table
            .group(name)
            .ok_or_else(|| Error::Configuration(format!("there is no group `{name}`")))?;
        let place = self.place()?;
        known.insert(name.to_owned(), place);
        for word in &group.keywords {
            let (keyword, tag, vr) = look_up(word)?;
            if vr == VR::SQ {
                let rule = format!("group `{name}`: `{word}` is a sequence and needs a group");
                return Err(Error::Configuration(rule));
            }
            self.want(place, Wanted { tag, keyword, vr, goal: Goal::Item, items: None });
        }
        for (word, inner) in &group.sequences {
            let (keyword, tag, vr) = look_up(word)?;
            if vr != VR::SQ {
                let rule = format!("group `{name}`: `{word}` is no sequence");
                return Err(Error::Configuration(rule));
            }
            let items = Some(self.group(table, inner, known)?);
            self.want(place, Wanted { tag, keyword, vr, goal: Goal::Item, items });
        }
        Ok(place)
    }
}

fn first_that_fits(rows: &[(String, u16)], sop_class: &str) -> Option<u16> {
    let fits = |pattern: &str| {
        if pattern.ends_with('.') { sop_class.starts_with(pattern) } else { sop_class == pattern }
    };
    rows.iter().find(|(pattern, _)| fits(pattern)).map(|(_, row)| *row)
}

fn too_many() -> Error {
    Error::Configuration("the table of attributes has too many rows".to_owned())
}

fn look_up(word: &str) -> Result<(Keyword, u32, VR)> {
    let keyword = Keyword::parse(word).map_err(|error| Error::Configuration(error.to_string()))?;
    let entry = StandardDataDictionary
        .by_name(word)
        .ok_or_else(|| Error::Configuration(format!("`{word}` is no keyword of PS3.6")))?;
    let vr = match entry.vr() {
        VirtualVr::Exact(vr) => vr,
        VirtualVr::Xs => VR::US,
        VirtualVr::Lt => VR::US,
        _ => VR::OW,
    };
    let Tag(group, element) = entry.tag();
    Ok((keyword, tag(group, element), vr))
}

#[cfg(test)]
mod tests {
    use super::{Goal, Plan};
    use crate::mapping::attributes::AttributeTable;

    #[test]
    fn the_embedded_table_compiles() {
        let plan = Plan::new(AttributeTable::embedded()).unwrap();
        let name = plan.find(0, 0x0010_0010).unwrap();
        assert_eq!(name.keyword.as_str(), "PatientName");
        let shared = plan.find(0, 0x5200_9229).unwrap();
        assert_eq!(shared.goal, Goal::Way);
        let anatomy = plan.find(shared.items.unwrap(), 0x0020_9071).unwrap();
        let laterality = plan.find(anatomy.items.unwrap(), 0x0020_9072).unwrap();
        assert_eq!(laterality.goal, Goal::Within(plan.row("FrameLaterality").unwrap()));
        assert_eq!(
            plan.title("1.2.840.10008.5.1.4.1.1.88.59"),
            plan.row("ConceptNameCodeSequence")
        );
    }
}
