//! `/oai`: OAI-PMH 2.0. Records are datasets, deleted ones for ever; `oai_dc` and `dcat` (the
//! RDF/XML of the document). Sets are access rights: who lists protected data (Regulation (EU)
//! 2022/868 Article 8) asks for two of them.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::State;
use super::doors::{Ask, Found, Refused};
use super::listing::time;
use crate::catalogue::{
    self as rdf, AccessRights, Entry, Format, Operation, Snapshot, Standing, Summary, moment,
};
use crate::error::{Error, Result};

/// Records, or headers, in an answer.
const RECORDS: usize = 100;
const HEADERS: usize = 500;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<OAI-PMH \
    xmlns=\"http://www.openarchives.org/OAI/2.0/\" \
    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
    xsi:schemaLocation=\"http://www.openarchives.org/OAI/2.0/ \
    http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd\">\n";

/// A metadata format: prefix, schema, namespace.
const FORMATS: &[(&str, &str, &str)] = &[
    (
        "oai_dc",
        "http://www.openarchives.org/OAI/2.0/oai_dc.xsd",
        "http://www.openarchives.org/OAI/2.0/oai_dc/",
    ),
    (
        "dcat",
        "http://www.openarchives.org/OAI/2.0/rdf.xsd",
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    ),
];

/// A set: its spec, the access right, its name.
const SETS: &[(&str, AccessRights, &str)] = &[
    ("public", AccessRights::Public, "Open datasets"),
    ("restricted", AccessRights::Restricted, "Datasets under conditions"),
    ("non-public", AccessRights::NonPublic, "Datasets that need a data permit"),
];

/// The verbs, and which arguments each takes.
const VERBS: &[(&str, &[&str])] = &[
    ("Identify", &[]),
    ("ListMetadataFormats", &["identifier"]),
    ("ListSets", &["resumptionToken"]),
    ("ListIdentifiers", &["from", "until", "metadataPrefix", "set", "resumptionToken"]),
    ("ListRecords", &["from", "until", "metadataPrefix", "set", "resumptionToken"]),
    ("GetRecord", &["identifier", "metadataPrefix"]),
];

/// An error of the protocol (section 3.6): code and words.
struct Fault(&'static str, String);

enum Failure {
    Fault(Fault),
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn fault<T>(code: &'static str, words: &str) -> Result<T, Failure> {
    Err(Failure::Fault(Fault(code, words.to_owned())))
}

/// Text between tags: what XML 1.0 would read otherwise, or not at all, is escaped or left out.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(letter),
            control if control < ' ' || matches!(control, '\u{fffe}' | '\u{ffff}') => {}
            other => out.push(other),
        }
    }
    out
}

pub(super) fn answer(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let now = ask.now;
    let base = state.writer().iri("/oai").as_str().to_owned();
    let (verb, body) = match verb(ask) {
        Ok(verb) => (Some(verb), run(state, ask, verb)),
        Err(fault) => (None, Err(Failure::Fault(fault))),
    };
    // With a bad verb or argument the request is told without its attributes (section 3.6).
    let mut attributes = String::new();
    let body = match body {
        Ok(body) => {
            let verb = verb.unwrap_or_default();
            body.map_or_else(String::new, |body| format!("<{verb}>\n{body}</{verb}>\n"))
        }
        Err(Failure::Fault(Fault(code, words))) => {
            format!("<error code=\"{code}\">{}</error>\n", xml(&words))
        }
        Err(Failure::Error(error)) => return Err(error.into()),
    };
    if !body.starts_with("<error code=\"bad") || body.starts_with("<error code=\"badResumption") {
        for (name, value) in &ask.query {
            let _ = write!(attributes, " {name}=\"{}\"", xml(value));
        }
    }
    // The answer tells its time, so it is another one in the next second.
    let date = moment(now);
    let text = format!(
        "{HEAD}<responseDate>{date}</responseDate>\n<request{attributes}>{}</request>\n{body}</OAI-PMH>\n",
        xml(&base)
    );
    Ok(Found::bytes(String::new(), move |_| Ok(text.into_bytes())).once())
}

/// The verb, with none but its arguments, each once.
fn verb(ask: &Ask) -> Result<&'static str, Fault> {
    let mut verbs = ask.query.iter().filter(|(name, _)| name == "verb");
    let (Some((_, wanted)), None) = (verbs.next(), verbs.next()) else {
        return Err(Fault("badVerb", "give one `verb`".to_owned()));
    };
    let Some((verb, arguments)) = VERBS.iter().find(|(verb, _)| verb == wanted) else {
        return Err(Fault("badVerb", "that is no verb of OAI-PMH 2.0".to_owned()));
    };
    for (name, value) in ask.query.iter().filter(|(name, _)| name != "verb") {
        let is_known = arguments.contains(&name.as_str());
        let is_once = ask.query.iter().filter(|(other, _)| other == name).count() == 1;
        if !is_known || !is_once || value.is_empty() {
            let words = match arguments.join("`, `") {
                none if none.is_empty() => format!("`{verb}` takes no other argument"),
                those => format!("`{verb}` takes `{those}`, each once and with a value"),
            };
            return Err(Fault("badArgument", words));
        }
    }
    let has_token = argument(ask, "resumptionToken").is_some();
    if has_token && ask.query.len() > 2 {
        return Err(Fault("badArgument", "`resumptionToken` stands alone".to_owned()));
    }
    let needs = |name: &str| -> Result<(), Fault> {
        if argument(ask, name).is_none() && !has_token {
            return Err(Fault("badArgument", format!("`{verb}` needs `{name}`")));
        }
        Ok(())
    };
    if verb.ends_with("Record") {
        needs("identifier")?;
    }
    if verb.ends_with("Record") || verb.ends_with("Records") || verb.ends_with("Identifiers") {
        needs("metadataPrefix")?;
    }
    Ok(verb)
}

fn argument<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    ask.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

fn run(state: &State, ask: &Ask, verb: &str) -> Result<Option<String>, Failure> {
    let body = match verb {
        "Identify" => identify(state, ask.now)?,
        "ListMetadataFormats" => {
            if let Some(identifier) = argument(ask, "identifier") {
                standing_of(state, identifier)?;
            }
            FORMATS.iter().fold(String::new(), |mut text, (prefix, schema, namespace)| {
                let _ = writeln!(
                    text,
                    "<metadataFormat><metadataPrefix>{prefix}</metadataPrefix>\
                     <schema>{schema}</schema>\
                     <metadataNamespace>{namespace}</metadataNamespace></metadataFormat>"
                );
                text
            })
        }
        "ListSets" if argument(ask, "resumptionToken").is_some() => {
            return fault("badResumptionToken", "sets come all at once");
        }
        "ListSets" => SETS.iter().fold(String::new(), |mut text, (spec, _, name)| {
            let _ = writeln!(text, "<set><setSpec>{spec}</setSpec><setName>{name}</setName></set>");
            text
        }),
        "GetRecord" => {
            let prefix = prefix(argument(ask, "metadataPrefix").unwrap_or_default())?;
            let one = standing_of(state, argument(ask, "identifier").unwrap_or_default())?;
            let entry = state.shelf.find(&one.slug)?;
            record(state, &one, entry.as_ref(), prefix)?
        }
        _ => list(state, ask, verb)?,
    };
    Ok(Some(body))
}

fn identify(state: &State, now: Timestamp) -> Result<String> {
    let first = state.shelf.event(1)?.map_or(now, |event| event.time);
    let mail = match state.config.organisation.email.as_str() {
        "" => "nobody@invalid",
        mail => mail,
    };
    Ok(format!(
        "<repositoryName>{}</repositoryName>\n<baseURL>{}</baseURL>\n\
         <protocolVersion>2.0</protocolVersion>\n<adminEmail>{}</adminEmail>\n\
         <earliestDatestamp>{}</earliestDatestamp>\n<deletedRecord>persistent</deletedRecord>\n\
         <granularity>YYYY-MM-DDThh:mm:ssZ</granularity>\n<compression>gzip</compression>\n",
        xml(&state.config.catalogue.title),
        xml(state.writer().iri("/oai").as_str()),
        xml(mail),
        moment(first)
    ))
}

fn prefix(text: &str) -> Result<&'static str, Failure> {
    match FORMATS.iter().find(|(prefix, ..)| *prefix == text) {
        Some((prefix, ..)) => Ok(prefix),
        None => fault("cannotDisseminateFormat", "records come as oai_dc and dcat"),
    }
}

/// The newest event of the dataset of an identifier.
fn standing_of(state: &State, identifier: &str) -> Result<Standing, Failure> {
    let root = state.writer().iri("/dataset/");
    let unknown = || fault("idDoesNotExist", "no dataset has that identifier");
    let Some(slug) = identifier.strip_prefix(root.as_str()).filter(|slug| rdf::is_slug(slug))
    else {
        return unknown();
    };
    let Some(entry) = state.shelf.find(slug)?.filter(|entry| entry.state != rdf::State::Failed)
    else {
        return unknown();
    };
    let is_withdrawn = entry.state == rdf::State::Withdrawn;
    Ok(Standing {
        slug: slug.to_owned(),
        seq: 0,
        operation: if is_withdrawn { Operation::Delete } else { Operation::Update },
        time: state.shelf.newest(slug)?.map_or(entry.modified, |event| event.time),
        access: entry.description().access_rights,
    })
}

/// What a list is of, and where it goes on: what a resumption token holds.
struct Selected {
    snapshot: Option<String>,
    place: usize,
    prefix: &'static str,
    set: Option<&'static str>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// A bound of a list; a day as `until` means its end.
fn bound(name: &'static str, text: &str) -> Result<Timestamp, Failure> {
    let is_day = text.len() == 10;
    let is_second = text.len() == 20 && text.ends_with('Z');
    match time(name, text) {
        Ok(time) if is_day && name == "until" => {
            Ok(time + SignedDuration::from_hours(24) - SignedDuration::from_micros(1))
        }
        // A datestamp is cut to the second: what happened within it is meant.
        Ok(time) if is_second && name == "until" => {
            Ok(time + SignedDuration::from_secs(1) - SignedDuration::from_micros(1))
        }
        Ok(time) if is_day || is_second => Ok(time),
        _ => fault("badArgument", "write `from` and `until` as YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ"),
    }
}

fn selected(ask: &Ask, verb: &str) -> Result<Selected, Failure> {
    if let Some(token) = argument(ask, "resumptionToken") {
        return match token.split_once('.').map(|(of, rest)| (of == mark(verb), read_token(rest))) {
            Some((true, Some(selected))) => Ok(selected),
            Some((false, Some(_))) => {
                fault("badResumptionToken", "that token goes on with another verb")
            }
            _ => fault("badResumptionToken", "that token is none of ours"),
        };
    }
    let (from, until) = (argument(ask, "from"), argument(ask, "until"));
    if let (Some(from), Some(until)) = (from, until)
        && from.len() != until.len()
    {
        return fault("badArgument", "`from` and `until` have different granularities");
    }
    let set = match argument(ask, "set") {
        None => None,
        Some(wanted) => match SETS.iter().find(|(spec, ..)| *spec == wanted) {
            Some((spec, ..)) => Some(*spec),
            None => return fault("noRecordsMatch", "there is no such set"),
        },
    };
    Ok(Selected {
        snapshot: None,
        place: 0,
        prefix: prefix(argument(ask, "metadataPrefix").unwrap_or_default())?,
        set,
        from: from.map(|text| bound("from", text)).transpose()?,
        until: until.map(|text| bound("until", text)).transpose()?,
    })
}

/// With what a token of a list begins, so that it goes on with that one only.
fn mark(verb: &str) -> &'static str {
    if verb == "ListRecords" { "r" } else { "i" }
}

fn read_token(token: &str) -> Option<Selected> {
    let parts: Vec<&str> = token.split('.').collect();
    let [snapshot, place, format, set, from, until] = parts.as_slice() else { return None };
    let micros = |text: &str| -> Option<Option<Timestamp>> {
        match text {
            "" => Some(None),
            text => Timestamp::from_microsecond(text.parse().ok()?).ok().map(Some),
        }
    };
    Some(Selected {
        snapshot: Some((*snapshot).to_owned()),
        place: place.parse().ok()?,
        prefix: FORMATS.iter().find(|(prefix, ..)| prefix == format)?.0,
        set: match *set {
            "" => None,
            wanted => Some(SETS.iter().find(|(spec, ..)| *spec == wanted)?.0),
        },
        from: micros(from)?,
        until: micros(until)?,
    })
}

fn list(state: &State, ask: &Ask, verb: &str) -> Result<String, Failure> {
    let wanted = selected(ask, verb)?;
    let with_metadata = verb == "ListRecords";
    let token = wanted.snapshot.as_deref();
    // `since` any time at all: deleted records are listed too.
    let since = wanted.from.unwrap_or(Timestamp::UNIX_EPOCH);
    let snapshot: Snapshot = match state.snapshot(token, Some(since), ask.now, "/oai") {
        Ok(snapshot) => snapshot,
        Err(Refused::Gone(words)) => return fault("badResumptionToken", &words),
        Err(Refused::Error(error)) => return Err(error.into()),
    };
    let rights = SETS.iter().find(|(spec, ..)| Some(*spec) == wanted.set).map(|row| row.1);
    let matching: Vec<&Standing> = snapshot
        .standing()
        .iter()
        .filter(|one| {
            wanted.until.is_none_or(|until| one.time <= until)
                && (rights.is_none() || one.access == rights)
        })
        .collect();
    let size = if with_metadata { RECORDS } else { HEADERS };
    // We give a token only where there is more.
    let goes_on = wanted.place > 0 && wanted.place < matching.len() && wanted.place % size == 0;
    if token.is_some() && !goes_on {
        return fault("badResumptionToken", "that token is none of ours");
    }
    if matching.is_empty() {
        return fault("noRecordsMatch", "nothing matches");
    }
    let end = (wanted.place + size).min(matching.len());
    let page = matching.get(wanted.place..end).unwrap_or_default();
    let mut text = String::new();
    if with_metadata {
        let slugs: Vec<String> = page.iter().map(|one| one.slug.clone()).collect();
        let entries = state.shelf.entries(&slugs)?;
        for one in page {
            let entry = entries.iter().find(|entry| entry.slug == one.slug);
            text.push_str(&record(state, one, entry, wanted.prefix)?);
        }
    } else {
        for one in page {
            text.push_str(&header(state, one, one.operation == Operation::Delete));
        }
    }
    let total = matching.len();
    if end < total {
        let micros = |time: Option<Timestamp>| {
            time.map_or_else(String::new, |time| time.as_microsecond().to_string())
        };
        let _ = writeln!(
            text,
            "<resumptionToken completeListSize=\"{total}\" cursor=\"{}\">{}.{}.{end}.{}.{}.{}.{}</resumptionToken>",
            wanted.place,
            mark(verb),
            snapshot.token(),
            wanted.prefix,
            wanted.set.unwrap_or_default(),
            micros(wanted.from),
            micros(wanted.until)
        );
    } else if wanted.place > 0 {
        let _ = writeln!(
            text,
            "<resumptionToken completeListSize=\"{total}\" cursor=\"{}\"/>",
            wanted.place
        );
    }
    Ok(text)
}

fn header(state: &State, one: &Standing, is_deleted: bool) -> String {
    let status = if is_deleted { " status=\"deleted\"" } else { "" };
    let set = SETS.iter().find(|(_, rights, _)| Some(*rights) == one.access);
    let set = set.map_or_else(String::new, |(spec, ..)| format!("<setSpec>{spec}</setSpec>"));
    format!(
        "<header{status}><identifier>{}</identifier><datestamp>{}</datestamp>{set}</header>\n",
        xml(state.writer().dataset_iri(&one.slug).as_str()),
        moment(one.time)
    )
}

fn record(
    state: &State,
    one: &Standing,
    entry: Option<&Entry>,
    prefix: &str,
) -> Result<String, Failure> {
    // What is served now decides: it may have been withdrawn since the list began.
    let entry = entry.filter(|entry| entry.state == rdf::State::Published);
    let Some(entry) = entry else {
        return Ok(format!("<record>{}</record>\n", header(state, one, true)));
    };
    let metadata = if prefix == "dcat" { dcat(state, entry)? } else { dublin_core(state, entry)? };
    Ok(format!("<record>{}<metadata>\n{metadata}</metadata></record>\n", header(state, one, false)))
}

/// The document as RDF/XML, without what only the beginning of a file has.
fn dcat(state: &State, entry: &Entry) -> Result<String> {
    let first = state.writer().dataset_iri(&entry.slug);
    let graph = rdf::parse(&entry.document)?;
    let bytes = rdf::emit(&graph, Format::RdfXml, &state.release, first.as_str())?;
    let text = String::from_utf8(bytes).map_err(|failure| Error::Internal(failure.to_string()))?;
    let start = text.find("<rdf:RDF").unwrap_or(0);
    Ok(format!("{}\n", text.get(start..).unwrap_or_default()))
}

fn dublin_core(state: &State, entry: &Entry) -> Result<String> {
    let summary = Summary::read(entry, state.writer())?;
    let mut text = String::from(
        "<oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xsi:schemaLocation=\"http://www.openarchives.org/OAI/2.0/oai_dc/ \
         http://www.openarchives.org/OAI/2.0/oai_dc.xsd\">\n",
    );
    let mut put = |name: &str, language: &str, value: &str| {
        if value.is_empty() {
            return;
        }
        let language = if language.is_empty() {
            String::new()
        } else {
            format!(" xml:lang=\"{}\"", xml(language))
        };
        let _ = writeln!(text, "<dc:{name}{language}>{}</dc:{name}>", xml(value));
    };
    for (language, title) in &summary.titles {
        put("title", language, title);
    }
    for creator in &summary.creators {
        put("creator", "", creator);
    }
    for word in &summary.keywords {
        put("subject", "", word);
    }
    for (language, description) in &summary.descriptions {
        put("description", language, description);
    }
    put("publisher", "", &summary.publisher);
    put("date", "", &summary.issued);
    put("type", "", "Dataset");
    put("identifier", "", &summary.iri);
    for identifier in &summary.identifiers {
        put("identifier", "", identifier);
    }
    for language in &summary.languages {
        put("language", "", language);
    }
    for relation in &summary.relations {
        put("relation", "", relation);
    }
    for place in &summary.places {
        put("coverage", "", place);
    }
    for licence in &summary.licences {
        put("rights", "", licence);
    }
    put("rights", "", &summary.access);
    text.push_str("</oai_dc:dc>\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{read_token, xml};

    #[test]
    fn text_cannot_end_an_element() {
        assert_eq!(xml("<a b=\"&\">\u{0}\u{b}\n"), "&lt;a b=&quot;&amp;&quot;&gt;\n");
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        for token in ["", "1-a", "1-a.x.oai_dc...", "1-a.0.marc...", "1-a.0.dcat.x..", "......"] {
            assert!(read_token(token).is_none(), "{token}");
        }
        let token = read_token("7-abc.100.dcat.public.1000000.").unwrap();
        assert_eq!((token.place, token.prefix, token.set), (100, "dcat", Some("public")));
    }
}
