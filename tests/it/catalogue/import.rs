//! A document read back is the description that it was made from, apart from what is computed.

use vesalius::catalogue::{
    Description, Format, Shelf as _, Subject, Writer, canonical, emit, import, parse, samples,
};

use super::properties::FULL;
use super::{config, now, publish, release};

/// A published text, its document as Turtle, and the description read from that.
fn there_and_back(slug: &str, text: &str, known: &toml::Table) {
    let (config, release) = (config(), release());
    let shelf = vesalius::catalogue::MemoryShelf::default();
    let outcome = publish(&config, &shelf, &format!("{slug}.toml"), text, now());
    let entry = shelf.find(slug).unwrap().unwrap();
    assert!(!entry.document.is_empty(), "{outcome:#?}");
    let graph = parse(&entry.document).unwrap();
    let writer = Writer { config: &config, release: &release };
    let iri = writer.dataset_iri(slug);
    let turtle = emit(&graph, Format::Turtle, &release, iri.as_str()).unwrap();
    let read = import::turtle(std::str::from_utf8(&turtle).unwrap()).unwrap();
    let table = writer.read_dataset(&read, known).unwrap();
    let back: Description = toml::Value::Table(table.clone())
        .try_into()
        .unwrap_or_else(|failure| panic!("{slug}: {failure}\n{table:#?}"));
    // The same document comes of it.
    let subject = Subject {
        slug,
        description: &back,
        figures: &entry.figures(),
        issued: entry.issued,
        modified: entry.modified,
    };
    let again = canonical(&writer.dataset(&subject));
    let lines =
        |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (before, after) = (lines(&entry.document), lines(&again));
    let lost: Vec<_> = before.difference(&after).collect();
    let new: Vec<_> = after.difference(&before).collect();
    assert!(lost.is_empty() && new.is_empty(), "{slug}: lost {lost:#?}\nnew {new:#?}\n{table:#?}");
    if !known.is_empty() {
        // Over what was known, the description itself is the same, but for the order of its lists.
        let sorted = |description: &Description| {
            let mut value = serde_json::to_value(description).unwrap();
            sort(&mut value);
            value
        };
        let own: Description = toml::from_str(text).unwrap();
        let (mut back, mut own) = (sorted(&back), sorted(&own));
        // The same concepts, called by their codes instead of their other names.
        for one in [&mut back, &mut own] {
            one.as_object_mut().unwrap().remove("eucaim");
        }
        for (key, value) in own.as_object().unwrap() {
            assert_eq!(back.get(key), Some(value), "{slug}: {key}");
        }
        assert_eq!(back, own, "{slug}");
    }
}

fn sort(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(sort);
            if items.iter().all(serde_json::Value::is_string) {
                items.sort_by_key(ToString::to_string);
            }
        }
        serde_json::Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}

#[test]
fn our_own_turtle_becomes_the_description_again() {
    let own = samples();
    let all = own.iter().map(|(slug, text)| (slug.as_str(), *text));
    for (slug, text) in all.chain([("everything", FULL)]) {
        there_and_back(slug, text, &toml::from_str(text).unwrap());
        there_and_back(slug, text, &toml::Table::new());
    }
}

#[test]
fn documents_of_others_are_read_and_hostile_ones_refused() {
    let (config, release) = (config(), release());
    let writer = Writer { config: &config, release: &release };
    let text = r#"
        @prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
        @prefix foaf: <http://xmlns.com/foaf/0.1/> . @prefix vcard: <http://www.w3.org/2006/vcard/ns#> .
        <https://elsewhere.example/d> a dcat:Dataset ; dct:title "Title"@en, "Titel"@de, "plain" ;
          dct:description "Words" ; dcat:keyword "a"@en, "b"@en ;
          dct:accessRights <http://publications.europa.eu/resource/authority/access-right/PUBLIC> ;
          dct:publisher [ a foaf:Agent ; foaf:name "Somebody" ] ;
          dcat:contactPoint [ vcard:hasEmail <mailto:a@example.org> ] ;
          dcat:distribution [ a dcat:Distribution ; dcat:accessURL <https://elsewhere.example/x> ] .
    "#;
    let graph = import::turtle(text).unwrap();
    let table = writer.read_dataset(&graph, &toml::Table::new()).unwrap();
    let description: Description = toml::Value::Table(table).try_into().unwrap();
    assert_eq!(description.title.best("de"), "Titel");
    assert_eq!(description.access_rights.unwrap().code(), "PUBLIC");
    assert_eq!(description.publisher.unwrap().name, "Somebody");
    assert_eq!(description.contact.unwrap().email.as_deref(), Some("a@example.org"));
    assert_eq!(
        description.distributions[0].access_url.as_deref(),
        Some("https://elsewhere.example/x")
    );
    // A circle of parts, nothing, two datasets, and what is no Turtle.
    let circle = "@prefix dcat: <http://www.w3.org/ns/dcat#> . <x:d> a dcat:Dataset ; dcat:distribution <x:d> ; <http://www.w3.org/ns/prov#qualifiedAttribution> <x:d> ; <http://www.w3.org/ns/prov#agent> <x:d> .";
    assert!(writer.read_dataset(&import::turtle(circle).unwrap(), &toml::Table::new()).is_ok());
    for bad in [
        "",
        "<x:a> a <http://www.w3.org/ns/dcat#Dataset> . <x:b> a <http://www.w3.org/ns/dcat#Dataset> .",
    ] {
        let graph = import::turtle(bad).unwrap();
        assert!(writer.read_dataset(&graph, &toml::Table::new()).is_err(), "{bad}");
    }
    assert!(import::turtle("<no turtle").is_err());
}

#[test]
fn eucaim_rows_become_the_description_and_the_same_rows_again() {
    let (config, release) = (config(), release());
    let writer = Writer { config: &config, release: &release };
    let own = samples();
    let all = own.iter().map(|(slug, text)| (slug.as_str(), *text));
    for (slug, text) in all.chain([("everything", FULL)]) {
        let shelf = vesalius::catalogue::MemoryShelf::default();
        publish(&config, &shelf, &format!("{slug}.toml"), text, now());
        let entry = shelf.find(slug).unwrap().unwrap();
        let known: toml::Table = toml::from_str(text).unwrap();
        let whole = writer.eucaim_rows(slug, &known, Some(&writer.eucaim_of(&entry))).unwrap();
        let whole = String::from_utf8(whole).unwrap();
        assert!(whole.contains("Number of Imaging Studies"), "what is computed is there: {whole}");
        assert!(whole.contains("Publisher Name"), "what the configuration gives is there");
        // Over what was known, nothing changes.
        let read = |known: &toml::Table, rows: &str| {
            let all = writer.read_eucaim_rows(rows.as_bytes(), |_| Ok(known.clone())).unwrap();
            assert_eq!(all.len(), 1);
            assert_eq!(all[0].0, slug);
            all.into_iter().next().unwrap().1
        };
        let back: Description = toml::Value::Table(read(&known, &whole)).try_into().unwrap();
        let before: Description = toml::from_str(text).unwrap();
        let value = |description: &Description| serde_json::to_value(description).unwrap();
        let (back, before) = (value(&back), value(&before));
        for (key, value) in before.as_object().unwrap() {
            assert_eq!(back.get(key), Some(value), "{slug}: {key}");
        }
        assert_eq!(back, before, "{slug}");
        // From nothing, the same rows come again.
        let rows = |table: &toml::Table| {
            String::from_utf8(writer.eucaim_rows(slug, table, None).unwrap()).unwrap()
        };
        let from_nothing = read(&toml::Table::new(), &rows(&known));
        assert_eq!(rows(&from_nothing), rows(&known), "{slug}");
    }
}

#[test]
fn eucaim_rows_that_are_wrong_say_where() {
    let (config, release) = (config(), release());
    let writer = Writer { config: &config, release: &release };
    let read = |text: &str| writer.read_eucaim_rows(text.as_bytes(), |_| Ok(toml::Table::new()));
    for (text, part) in [
        ("", "row 1"),
        ("a,b\n1,2\n", "row 1: write the columns"),
        ("dataset,property,value\nx,Colour,red\n", "row 2: EUCAIM has no property `Colour`"),
        ("dataset,property,value\n../x,Title,T\n", "row 2: `../x` is no name"),
    ] {
        let failure = read(text).unwrap_err().to_string();
        assert!(failure.contains(part), "{text:?}: {failure}");
    }
    // Labels and addresses are codes too; a code of no table stays for the gate to refuse.
    let table = read(
        "dataset,class,number,property,path,language,value\nx,Dataset,,Title,,cs,N\u{e1}zev\n\
         x,Dataset,,Health Category,,,Electronic health data from EHRs\n\
         x,Dataset,,Access Rights,,,http://publications.europa.eu/resource/authority/access-right/PUBLIC\n\
         x,Distribution,2,Licence,,,https://creativecommons.org/licenses/by/4.0/\n\
         x,Dataset,,Retention Period,,,2026-01-01/\nx,Dataset,,Frequency,,,now and then\n",
    );
    let table = table.unwrap().into_iter().next().unwrap().1;
    let shown = toml::to_string(&table).unwrap();
    assert!(shown.contains("cs = \"N\u{e1}zev\"") && shown.contains("PUBLIC"), "{shown}");
    assert!(shown.contains("CC BY 4.0") && shown.contains("now and then"), "{shown}");
    assert!(shown.contains("from = 2026-01-01") && !shown.contains("to ="), "{shown}");
}
