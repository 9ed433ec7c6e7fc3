//! A description written again so that what was not changed stays as its author wrote it: comments,
//! order, quotes, how lists are broken into lines.
//!
//! In: the text that was, and the table that it is to say now. Out: a text that says exactly that.
//! What cannot be written into the old text is written anew, without its comments: never wrongly.

use toml::{Table, Value};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, TableLike};

use super::description::is_language;
use super::form::text_of;

/// The text of a description that says what `new` says. `language` is the catalogue's: a plain
/// string and a table with that one language say the same.
#[must_use]
pub fn rewritten(old: &str, new: &Table, language: &str) -> String {
    let Ok(mut document) = old.parse::<DocumentMut>() else { return text_of(new) };
    if old.trim().is_empty() {
        return text_of(new);
    }
    let mut said = Said { language, carried: String::new() };
    said.table(document.as_table_mut(), new);
    if !said.carried.is_empty() {
        let trailing = format!("{}{}", said.carried, document.trailing().as_str().unwrap_or(""));
        document.set_trailing(trailing);
    }
    let text = document.to_string();
    let is_right = toml::from_str::<Table>(&text)
        .is_ok_and(|read| said.is_same(&Value::Table(read), &Value::Table(new.clone())));
    if is_right { text } else { text_of(new) }
}

struct Said<'l> {
    language: &'l str,
    /// Comments of what went that were about what follows.
    carried: String,
}

impl Said<'_> {
    /// Whether two values say the same to whoever reads a description.
    fn is_same(&self, old: &Value, new: &Value) -> bool {
        match (old, new) {
            (Value::Table(old), Value::Table(new)) => {
                old.len() == new.len()
                    && old
                        .iter()
                        .all(|(key, old)| new.get(key).is_some_and(|new| self.is_same(old, new)))
            }
            (Value::Array(old), Value::Array(new)) => {
                old.len() == new.len()
                    && old.iter().zip(new).all(|(old, new)| self.is_same(old, new))
            }
            // A plain text, or plain words, are in the catalogue's language.
            (Value::String(_) | Value::Array(_), Value::Table(new)) => {
                new.len() == 1 && new.get(self.language).is_some_and(|new| new == old)
            }
            #[allow(clippy::cast_precision_loss, reason = "degrees")]
            (Value::Integer(old), Value::Float(new)) => (*old as f64 - new).abs() < f64::EPSILON,
            (old, new) => old == new,
        }
    }

    fn table(&mut self, table: &mut dyn TableLike, new: &Table) {
        let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
        for key in &keys {
            if !new.contains_key(key) {
                // What stands apart above the first key is about the file, not about the key.
                let prefix = prefix(table, key);
                if let Some(end) = prefix.rfind("\n\n")
                    && let Some(head) = prefix.get(..end + 2)
                {
                    self.carried.push_str(head);
                }
                table.remove(key);
            } else if !self.carried.is_empty() {
                let whole = format!("{}{}", std::mem::take(&mut self.carried), prefix(table, key));
                set_prefix(table, key, &whole);
            }
        }
        for (key, value) in new {
            let before = prefix(table, key);
            let Some(item) = table.get_mut(key) else {
                if let Some(item) = item(key, value) {
                    table.insert(key, item);
                }
                continue;
            };
            let was_value = item.is_value();
            self.item(item, key, value);
            if was_value && !item.is_value() && before.contains('#') {
                set_prefix(table, key, &before);
            }
        }
    }

    fn item(&mut self, old: &mut Item, key: &str, new: &Value) {
        if self.is_same(&value(old), new) {
            return;
        }
        match new {
            Value::Table(new) if old.is_table_like() => {
                if let Some(old) = old.as_table_like_mut() {
                    return self.table(old, new);
                }
            }
            Value::Array(new) => {
                let tables: Option<Vec<&Table>> = new.iter().map(Value::as_table).collect();
                if let (Some(old), Some(new)) = (old.as_array_of_tables_mut(), tables) {
                    return self.tables(old, key, &new);
                }
                if let Some(old) = old.as_array_mut() {
                    return self.array(old, new);
                }
            }
            _ => {}
        }
        let Some(mut fresh) = item(key, new) else { return };
        if let (Some(old), Some(fresh)) = (old.as_value(), fresh.as_value_mut()) {
            *fresh.decor_mut() = old.decor().clone();
        }
        if let (Some(old), Some(fresh)) = (old.as_value(), fresh.as_table_mut())
            && let Some(first) = fresh.iter_mut().find_map(|(_, item)| item.as_value_mut())
            && let Some(suffix) = old.decor().suffix()
        {
            first.decor_mut().set_suffix(suffix.clone());
        }
        *old = fresh;
    }

    /// Which old part each new one is: the same one, else the one that is most like it.
    fn pairs(&self, old: &[Value], new: &[&Value]) -> Vec<Option<usize>> {
        let mut is_free = vec![true; old.len()];
        let mut pairs: Vec<Option<usize>> = new
            .iter()
            .map(|new| {
                let same = |at: &usize| is_free[*at] && self.is_same(&old[*at], new);
                let found = (0..old.len()).find(same);
                if let Some(at) = found {
                    is_free[at] = false;
                }
                found
            })
            .collect();
        let are_as_many = old.len() == new.len();
        for (place, (pair, new)) in pairs.iter_mut().zip(new).enumerate() {
            let Value::Table(new) = new else { continue };
            if pair.is_some() {
                continue;
            }
            let likeness = |at: usize| {
                let Some(old) = old[at].as_table() else { return 0 };
                let is_kept = |(key, value): &(&String, &Value)| {
                    old.get(*key).is_some_and(|old| self.is_same(old, value))
                };
                // Nothing was added or taken away: what stands where it stood is the same part.
                let stays = usize::from(are_as_many && at == place);
                new.iter().filter(is_kept).count() + stays
            };
            // Of those that are equally like it, the first.
            let free = (0..old.len()).rev().filter(|at| is_free[*at] && likeness(*at) > 0);
            *pair = free.max_by_key(|at| likeness(*at));
            if let Some(at) = *pair {
                is_free[at] = false;
            }
        }
        pairs
    }

    fn tables(&mut self, old: &mut ArrayOfTables, key: &str, new: &[&Table]) {
        let values: Vec<Value> = old.iter().map(table_value).collect();
        let wanted: Vec<Value> = new.iter().map(|new| Value::Table((*new).clone())).collect();
        let pairs = self.pairs(&values, &wanted.iter().collect::<Vec<_>>());
        let mut whole = ArrayOfTables::new();
        for (new, pair) in new.iter().zip(pairs) {
            match pair.and_then(|at| old.get(at)).cloned() {
                Some(mut known) => {
                    self.table(&mut known, new);
                    whole.push(known);
                }
                None => {
                    let all = Value::Array(vec![Value::Table((*new).clone())]);
                    let fresh = item(key, &all).and_then(|item| item.into_array_of_tables().ok());
                    fresh.into_iter().flatten().for_each(|table| whole.push(table));
                }
            }
        }
        *old = whole;
    }

    fn array(&mut self, old: &mut Array, new: &[Value]) {
        let items: Vec<toml_edit::Value> = old.iter().cloned().collect();
        let values: Vec<Value> = items.iter().map(plain).collect();
        let pairs = self.pairs(&values, &new.iter().collect::<Vec<_>>());
        let lead = |item: &toml_edit::Value| {
            item.decor().prefix().and_then(|raw| raw.as_str()).unwrap_or_default().to_owned()
        };
        // A list of lines goes on as one.
        let indent = items
            .first()
            .map(lead)
            .and_then(|lead| lead.rfind('\n').and_then(|at| lead.get(at..).map(str::to_owned)));
        old.clear();
        for (at, (new, pair)) in new.iter().zip(pairs).enumerate() {
            let known = pair.and_then(|at| items.get(at)).cloned();
            let item = match known {
                Some(known) => {
                    let mut known = Item::Value(known);
                    self.item(&mut known, "", new);
                    known.into_value().ok()
                }
                None => inline(new).map(|mut fresh| {
                    let otherwise = if at == 0 { "" } else { " " };
                    let prefix = indent.as_deref().unwrap_or(otherwise);
                    fresh.decor_mut().set_prefix(prefix);
                    fresh.decor_mut().set_suffix("");
                    fresh
                }),
            };
            if let Some(item) = item {
                old.push_formatted(item);
            }
        }
    }
}

/// A value as a file of its own writes it, ready to be put into another.
fn item(key: &str, value: &Value) -> Option<Item> {
    let mut one = Table::new();
    one.insert(if key.is_empty() { "x" } else { key }.to_owned(), value.clone());
    let text = toml::to_string_pretty(&one).ok()?;
    let mut document = text.parse::<DocumentMut>().ok()?;
    let (_, mut item) = document.as_table_mut().remove_entry(one.keys().next()?)?;
    let is_text = value.as_table().is_some_and(|table| {
        !table.is_empty() && table.iter().all(|(key, value)| is_language(key) && !value.is_table())
    });
    if let Some(table) = item.as_table_mut() {
        if is_text {
            // `title.en = "…"` beside the other keys, no section of its own.
            table.set_dotted(true);
            table.set_implicit(true);
        } else {
            table.decor_mut().set_prefix("\n");
        }
    }
    if let Some(table) = item.as_array_of_tables_mut().and_then(|tables| tables.get_mut(0)) {
        table.decor_mut().set_prefix("\n");
    }
    unplaced(&mut item);
    Some(item)
}

/// A value within a line.
fn inline(value: &Value) -> Option<toml_edit::Value> {
    let written = value.to_string();
    written.parse::<toml_edit::Value>().ok().or_else(|| item("", value)?.into_value().ok())
}

/// Takes the places of sections away: they follow what they are put behind.
fn unplaced(item: &mut Item) {
    match item {
        Item::Table(table) => {
            table.set_position(None);
            table.iter_mut().for_each(|(_, item)| unplaced(item));
        }
        Item::ArrayOfTables(tables) => {
            for table in tables.iter_mut() {
                table.set_position(None);
                table.iter_mut().for_each(|(_, item)| unplaced(item));
            }
        }
        Item::None | Item::Value(_) => {}
    }
}

fn raw(text: Option<&toml_edit::RawString>) -> String {
    text.and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}

/// What stands above a key: blank lines and comments.
fn prefix(table: &dyn TableLike, key: &str) -> String {
    match table.get(key) {
        Some(Item::Table(inner)) if inner.is_dotted() => {
            inner.iter().next().map_or_else(String::new, |(first, _)| prefix(inner, first))
        }
        Some(Item::Table(inner)) => raw(inner.decor().prefix()),
        Some(Item::ArrayOfTables(inner)) => {
            inner.get(0).map_or_else(String::new, |first| raw(first.decor().prefix()))
        }
        Some(_) => table.key(key).map_or_else(String::new, |key| raw(key.leaf_decor().prefix())),
        None => String::new(),
    }
}

fn set_prefix(table: &mut dyn TableLike, key: &str, text: &str) {
    match table.get_mut(key) {
        Some(Item::Table(inner)) if inner.is_dotted() => {
            let first = inner.iter().next().map(|(first, _)| first.to_owned());
            if let Some(first) = first {
                set_prefix(inner, &first, text);
            }
        }
        Some(Item::Table(inner)) => inner.decor_mut().set_prefix(text),
        Some(Item::ArrayOfTables(inner)) => {
            if let Some(first) = inner.get_mut(0) {
                first.decor_mut().set_prefix(text);
            }
        }
        Some(_) => {
            if let Some(mut key) = table.key_mut(key) {
                key.leaf_decor_mut().set_prefix(text);
            }
        }
        None => {}
    }
}

fn value(item: &Item) -> Value {
    match item {
        Item::None => Value::Boolean(false),
        Item::Value(value) => plain(value),
        Item::Table(table) => table_value(table),
        Item::ArrayOfTables(tables) => Value::Array(tables.iter().map(table_value).collect()),
    }
}

fn table_value(table: &toml_edit::Table) -> Value {
    Value::Table(table.iter().map(|(key, item)| (key.to_owned(), value(item))).collect())
}

fn plain(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Written;
    match value {
        Written::String(text) => Value::String(text.value().clone()),
        Written::Integer(number) => Value::Integer(*number.value()),
        Written::Float(number) => Value::Float(*number.value()),
        Written::Boolean(flag) => Value::Boolean(*flag.value()),
        Written::Datetime(day) => {
            let text = day.value().to_string();
            text.parse().map_or(Value::String(text), Value::Datetime)
        }
        Written::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Written::InlineTable(table) => {
            Value::Table(table.iter().map(|(key, value)| (key.to_owned(), plain(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::rewritten;

    const OLD: &str = r#"# Breast screening, written by Ada.
# Ask her before changing the selection.

title = "Breast"   # short, for lists
# agreed with the ethics board
description.en = """
Two lines
of text."""
# no year before 2019
spatial = [
    "CZE", # the programme
    "SVK",
]
issued = 2026-11-01

# --- who ---
[publisher]
name = 'Demo' # literal
email = "a@b.example"

[[distribution]]
# the images
access_url = "https://example.org/a"
format = "ZIP"

# only after approval
[[distribution]]
access_url = "https://example.org/b"
[distribution.checksum]
algorithm = "sha256" # theirs
value = "00"

[selection]
# women only
modality = ["MG"]
# the end
"#;

    fn table() -> Table {
        toml::from_str(OLD).unwrap()
    }

    fn read(text: &str) -> Table {
        toml::from_str(text).unwrap_or_else(|failure| panic!("{failure}\n{text}"))
    }

    fn put(table: &mut Table, path: &str, value: &str) {
        let value: Table = toml::from_str(&format!("v = {value}")).unwrap();
        crate::catalogue::form::put(table, path, Some(value["v"].clone()));
    }

    #[test]
    fn what_says_the_same_is_the_same_text() {
        assert_eq!(rewritten(OLD, &table(), "en"), OLD);
        // As the form posts it: texts per language.
        let mut posted = table();
        put(&mut posted, "title", "{ en = \"Breast\" }");
        assert_eq!(rewritten(OLD, &posted, "en"), OLD);
    }

    #[test]
    fn a_change_changes_its_line_alone() {
        for (path, value, from, to) in [
            ("description.en", "\"One\"", "\"\"\"\nTwo lines\nof text.\"\"\"", "\"One\""),
            ("issued", "2026-12-01", "2026-11-01", "2026-12-01"),
            ("publisher.name", "\"Other\"", "'Demo' # literal", "\"Other\" # literal"),
            (
                "spatial",
                "[\"CZE\", \"SVK\", \"POL\"]",
                "    \"SVK\",\n",
                "    \"SVK\",\n    \"POL\",\n",
            ),
            ("selection.modality", "[\"MG\", \"CT\"]", "[\"MG\"]", "[\"MG\", \"CT\"]"),
        ] {
            let mut new = table();
            put(&mut new, path, value);
            assert_eq!(rewritten(OLD, &new, "en"), OLD.replace(from, to), "{path}");
        }
    }

    #[test]
    fn comments_survive_what_is_added_and_taken_away() {
        let mut new = table();
        put(&mut new, "title", "{ en = \"Breast\", cs = \"Prs\" }");
        put(&mut new, "keywords", "{ en = [\"one\"] }");
        put(&mut new, "contact", "{ email = \"c@d.example\" }");
        new.remove("issued");
        let Some(Value::Array(parts)) = new.get_mut("distribution") else { panic!() };
        parts.remove(0);
        parts[0].as_table_mut().unwrap().insert("format".to_owned(), "TIFF".into());
        let mut third = Table::new();
        third.insert("access_url".to_owned(), "https://example.org/c".into());
        parts.push(Value::Table(third));
        let text = rewritten(OLD, &new, "en");
        assert_eq!(read(&text), new, "{text}");
        for comment in [
            "# Breast screening, written by Ada.\n# Ask her before changing the selection.\n\ntitle.en",
            "# short, for lists",
            "# agreed with the ethics board\ndescription.en",
            "# no year before 2019",
            "# the programme",
            "# --- who ---\n[publisher]",
            "# literal",
            "# only after approval\n[[distribution]]",
            "# theirs",
            "# women only",
            "# the end",
        ] {
            assert!(text.contains(comment), "{comment} is lost in\n{text}");
        }
        assert!(!text.contains("# the images"), "it goes with what it was about\n{text}");
        assert!(text.contains("keywords.en = [\"one\"]"), "{text}");
    }

    #[test]
    fn the_head_of_the_file_outlives_its_first_key() {
        let mut new = table();
        new.remove("title");
        let text = rewritten(OLD, &new, "en");
        assert!(text.starts_with("# Breast screening, written by Ada.\n# Ask her"), "{text}");
        assert_eq!(read(&text), new);
    }

    #[test]
    fn what_cannot_be_read_is_written_anew() {
        let meant = |text: &str| toml::from_str::<super::super::Description>(text).unwrap();
        for broken in ["not = = toml", ""] {
            assert_eq!(meant(&rewritten(broken, &table(), "en")), meant(OLD), "{broken}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_text_always_says_the_new_description(
            old in tables(), new in tables(), comments in proptest::collection::vec("[ #a-z]{0,9}", 4),
        ) {
            let mut text = String::new();
            for (at, line) in toml::to_string(&old).unwrap().lines().enumerate() {
                let comment = comments[at % comments.len()].replace('#', "");
                text.push_str(&format!("# {comment}\n{line}\n"));
            }
            let written = rewritten(&text, &new, "en");
            proptest::prop_assert_eq!(read(&written), new, "{}", written);
        }
    }

    fn tables() -> impl proptest::strategy::Strategy<Value = Table> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            "[a-z \"'\\\\\n#]{0,8}".prop_map(Value::String),
            any::<i64>().prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            let table = proptest::collection::btree_map("[a-d]{1,2}", inner.clone(), 0..4)
                .prop_map(|map| Value::Table(map.into_iter().collect()));
            let text = "[a-z]{0,5}".prop_map(|text| {
                let mut table = Table::new();
                table.insert("cs".to_owned(), Value::String(text));
                Value::Table(table)
            });
            prop_oneof![
                table.clone(),
                text,
                proptest::collection::vec(inner, 0..4).prop_map(Value::Array),
                proptest::collection::vec(table, 0..3).prop_map(Value::Array),
            ]
        });
        proptest::collection::btree_map("[a-d]{1,2}", value, 0..6)
            .prop_map(|map| map.into_iter().collect())
    }
}
