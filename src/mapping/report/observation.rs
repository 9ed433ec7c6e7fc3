//! Content items → Observation: measurement groups, measurements and evaluations of TID 1500, the
//! findings of CAD with their properties, coded findings of any report, and the dose summary.

use serde_json::{Map, Value, json};

use super::table::{Role, key};
use super::{LOINC, Source, put, put_text};
use crate::imaging::{Code, Content, Item};
use crate::mapping::codes::{DCM, code_in};

/// Irradiations that the summary of a dose report lists.
const IRRADIATIONS: usize = 20;

/// The Observations of a report.
pub(super) struct Found {
    /// All, in the order of the content tree.
    pub(super) all: Vec<Value>,
    /// The ids of those that are in no other: the results of the report.
    pub(super) results: Vec<String>,
    /// For each section of the table the ids of the results that belong there.
    pub(super) of_section: Vec<(usize, String)>,
}

/// What holds for the items below.
#[derive(Clone, Default)]
struct Scope<'a> {
    finding: Option<&'a Code>,
    site: Option<&'a Code>,
    laterality: Option<&'a Code>,
    method: Option<&'a Code>,
    modifiers: Vec<(&'a Code, &'a Code)>,
    tracking_uid: Option<&'a str>,
    tracking: Option<&'a str>,
    section: Option<usize>,
    /// The group that measurements become members of: its place among the Observations.
    group: Option<usize>,
    /// Whether it is about a fetus or a specimen, and not the patient.
    is_of_another: bool,
}

impl<'a> Scope<'a> {
    /// The scope of the items, narrowed by those of them that say what the others are about.
    fn narrowed(&self, source: &Source<'a>, items: &'a [Item]) -> Self {
        let mut scope = self.clone();
        for item in items {
            let role = source.tables().role(item.concept.as_ref());
            match (role, &item.content) {
                (Some(Role::FindingSite), Content::Coded { code }) => {
                    scope.site = Some(code);
                    // A side that an outer site had is not this one's.
                    scope.laterality = self.laterality.filter(|_| self.site.is_none());
                    let inner = item.items.iter().find_map(|below| {
                        match (source.tables().role(below.concept.as_ref()), &below.content) {
                            (Some(Role::Laterality), Content::Coded { code }) => Some(code),
                            _ => None,
                        }
                    });
                    scope.laterality = inner.or(scope.laterality);
                }
                (Some(Role::Laterality), Content::Coded { code }) => scope.laterality = Some(code),
                (Some(Role::Method), Content::Coded { code }) => scope.method = Some(code),
                (Some(Role::Modifier), Content::Coded { code }) => {
                    if let Some(concept) = &item.concept {
                        scope.modifiers.push((concept, code));
                    }
                }
                (Some(Role::TrackingUid), Content::Uid { uid }) => {
                    scope.tracking_uid = Some(uid.as_str());
                }
                (Some(Role::TrackingIdentifier), Content::Text { text }) => {
                    scope.tracking = Some(text);
                }
                (Some(Role::SubjectClass), Content::Coded { code }) => {
                    scope.is_of_another = key(code) != source.tables().subject.patient;
                }
                _ => {}
            }
        }
        scope
    }
}

/// The Observations of the whole content tree.
pub(super) fn observations(source: &Source<'_>) -> Found {
    let mut work = Work {
        source,
        found: Found { all: Vec::new(), results: Vec::new(), of_section: Vec::new() },
        members: Vec::new(),
    };
    work.visit(&source.stored.report.items, &Scope::default());
    work.found
}

struct Work<'s, 'a> {
    source: &'s Source<'a>,
    found: Found,
    /// Group and member, by their places.
    members: Vec<(usize, usize)>,
}

impl<'a> Work<'_, 'a> {
    fn visit(&mut self, items: &'a [Item], outer: &Scope<'a>) {
        let scope = outer.narrowed(self.source, items);
        for item in items {
            self.item(item, &scope);
        }
    }

    fn item(&mut self, item: &'a Item, outer: &Scope<'a>) {
        let tables = self.source.tables();
        let role = tables.role(item.concept.as_ref());
        let mut scope = outer.clone();
        if let Some(section) = item.concept.as_ref().and_then(|c| tables.section_of(c)) {
            scope.section = Some(section);
        }
        // What narrows others was taken into their scope.
        let is_contained = matches!(item.relationship.as_str(), "CONTAINS" | "HAS PROPERTIES" | "");
        match (role, &item.content) {
            (Some(Role::Group), Content::Container { .. }) => self.group(item, &scope),
            (Some(Role::Observer | Role::About | Role::SubjectClass), _) => {
                self.visit(&item.items, &scope);
            }
            (Some(Role::FindingItem), Content::Coded { .. }) => {
                if self.put(item, &scope, true).is_none() {
                    self.visit(&item.items, &scope);
                }
            }
            (None | Some(Role::FindingItem), Content::Number { .. }) if is_contained => {
                self.put(item, &scope, false);
                self.visit(&item.items, &scope);
            }
            // The finding of a group is the group's own value.
            (Some(Role::Finding), Content::Coded { .. }) if scope.group.is_some() => {}
            (None | Some(Role::Finding), Content::Coded { .. }) if is_contained => {
                self.put(item, &scope, false);
                self.visit(&item.items, &scope);
            }
            _ => self.visit(&item.items, &scope),
        }
    }

    /// A measurement group: an Observation of its own that its members refer to nothing from.
    fn group(&mut self, item: &'a Item, outer: &Scope<'a>) {
        // An inner group has its own tracking and finding.
        let base = Scope { tracking: None, tracking_uid: None, finding: None, ..outer.clone() };
        let mut scope = base.narrowed(self.source, &item.items);
        scope.finding = item.items.iter().find_map(|below| {
            match (self.source.tables().role(below.concept.as_ref()), &below.content) {
                (Some(Role::Finding), Content::Coded { code }) => Some(code),
                _ => None,
            }
        });
        let place = self.found.all.len();
        if scope.is_of_another {
            return;
        }
        self.found.all.push(Value::Null);
        scope.group = Some(place);
        for below in &item.items {
            self.item(below, &scope);
        }
        let of_group = self.members.iter().filter(|(group, _)| *group == place);
        let members: Vec<Value> = of_group
            .map(|(_, at)| json!({ "reference": format!("Observation/{}", self.id(*at)) }))
            .collect();
        self.members.retain(|(group, _)| *group != place);
        let mut object = self.head(place);
        let mut identifiers = Vec::new();
        if let Some(uid) = scope.tracking_uid {
            identifiers.push(json!({
                "type": { "coding": [{
                    "system": DCM, "code": "112040", "display": "Tracking Unique Identifier",
                }] },
                "system": "urn:dicom:uid",
                "value": format!("urn:oid:{}", self.source.uid(uid)),
            }));
        }
        if let Some(text) = scope.tracking.filter(|_| !self.source.is_secondary()) {
            identifiers.push(json!({
                "type": { "coding": [{
                    "system": DCM, "code": "112039", "display": "Tracking Identifier",
                }] },
                "system": self.source.context.local_system("tracking", ""),
                "value": text,
            }));
        }
        put(&mut object, "identifier", identifiers);
        let concept = item.concept.as_ref().and_then(|concept| self.source.concept(concept));
        self.common(&mut object, concept, item, &scope);
        match scope.finding.and_then(|finding| self.source.concept(finding)) {
            Some(finding) => {
                object.insert("valueCodeableConcept".to_owned(), finding);
            }
            None if members.is_empty() => {
                object.insert("dataAbsentReason".to_owned(), absent("unknown", None));
            }
            None => {}
        }
        self.site(&mut object, &scope);
        put(&mut object, "hasMember", members);
        put(&mut object, "derivedFrom", vec![self.source.study_reference()]);
        let components = self.modifiers(&scope);
        put(&mut object, "component", components);
        if let Some(slot) = self.found.all.get_mut(place) {
            *slot = Value::Object(object);
        }
        self.result(place, outer);
    }

    /// One item as an Observation; `None` when it has nothing to be called by.
    fn put(&mut self, item: &'a Item, outer: &Scope<'a>, with_properties: bool) -> Option<()> {
        if outer.is_of_another {
            return None;
        }
        let concept = self.source.concept(item.concept.as_ref()?)?;
        let scope = outer.narrowed(self.source, &item.items);
        let place = self.found.all.len();
        let mut object = self.head(place);
        if let Some(uid) = &item.observation {
            put(
                &mut object,
                "identifier",
                vec![super::sop_instance(&self.source.uid(uid.as_str()))],
            );
        }
        self.common(&mut object, Some(concept), item, &scope);
        if !self.value(&mut object, &item.content) {
            return None;
        }
        self.site(&mut object, &scope);
        if let Some(method) = scope.method.and_then(|method| self.source.concept(method)) {
            object.insert("method".to_owned(), method);
        }
        put(&mut object, "derivedFrom", vec![self.source.study_reference()]);
        let mut components = self.modifiers(&scope);
        if with_properties {
            self.properties(&item.items, 0, &mut components);
        }
        put(&mut object, "component", components);
        match scope.group {
            Some(group) => {
                self.members.push((group, place));
                self.found.all.push(Value::Object(object));
            }
            None => {
                self.found.all.push(Value::Object(object));
                self.result(place, outer);
            }
        }
        Some(())
    }

    /// Numbers and codes below a finding (TID 4006 and others) as its components.
    fn properties(&self, items: &'a [Item], depth: usize, into: &mut Vec<Value>) {
        for item in items {
            let role = self.source.tables().role(item.concept.as_ref());
            let is_property = role.is_none() && item.relationship == "HAS PROPERTIES";
            let name = item.concept.as_ref().filter(|_| is_property);
            if let Some(concept) = name.and_then(|name| self.source.concept(name)) {
                let mut component = Map::new();
                component.insert("code".to_owned(), concept);
                if self.value(&mut component, &item.content) {
                    into.push(Value::Object(component));
                }
            }
            if depth < 3 && matches!(item.content, Content::Container { .. }) {
                self.properties(&item.items, depth + 1, into);
            }
        }
    }

    fn id(&self, place: usize) -> String {
        format!("{}-{}", self.source.stored.public_id, place + 1)
    }

    fn result(&mut self, place: usize, scope: &Scope<'_>) {
        let id = self.id(place);
        if let Some(section) = scope.section {
            self.found.of_section.push((section, id.clone()));
        }
        self.found.results.push(id);
    }

    fn head(&self, place: usize) -> Map<String, Value> {
        self.source.head("Observation", &self.id(place))
    }

    fn common(
        &self,
        object: &mut Map<String, Value>,
        concept: Option<Value>,
        item: &Item,
        _scope: &Scope<'_>,
    ) {
        let source = self.source;
        put(object, "basedOn", source.based_on());
        let [_, _, status] = source.status();
        object.insert("status".to_owned(), status.into());
        object.insert("category".to_owned(), category());
        let fallback = || {
            json!({ "coding": [{
            "system": DCM, "code": "125007", "display": "Measurement Group",
        }] })
        };
        object.insert("code".to_owned(), concept.unwrap_or_else(fallback));
        object.insert("subject".to_owned(), source.subject());
        let observed = item.observed.as_deref().and_then(|text| source.whole_moment(text));
        put_text(object, "effectiveDateTime", observed.or_else(|| source.written()));
    }

    fn site(&self, object: &mut Map<String, Value>, scope: &Scope<'_>) {
        if let Some(site) = scope.site.and_then(|site| self.source.concept(site)) {
            object.insert("bodySite".to_owned(), site);
        }
    }

    /// The side and other modifiers: R4's Observation has no place of their own for them.
    fn modifiers(&self, scope: &Scope<'_>) -> Vec<Value> {
        let mut components = Vec::new();
        if let Some(side) = scope.laterality.and_then(|side| self.source.concept(side)) {
            components.push(json!({
                "code": { "coding": [{
                    "system": "http://snomed.info/sct",
                    "code": "272741003",
                    "display": "Laterality",
                }] },
                "valueCodeableConcept": side,
            }));
        }
        for (concept, code) in &scope.modifiers {
            if let (Some(concept), Some(code)) =
                (self.source.concept(concept), self.source.concept(code))
            {
                components.push(json!({ "code": concept, "valueCodeableConcept": code }));
            }
        }
        components
    }

    fn value(&self, object: &mut Map<String, Value>, content: &Content) -> bool {
        match content {
            Content::Number { number, unit, qualifier } => {
                match number.as_deref().and_then(decimal) {
                    Some(value) => {
                        let quantity = quantity(self.source, value, unit.as_ref());
                        object.insert("valueQuantity".to_owned(), quantity);
                    }
                    None => {
                        let rows = &self.source.tables().absent;
                        let row = qualifier.as_ref().and_then(|code| {
                            let key = key(code);
                            rows.iter().find(|row| row.concept == key)
                        });
                        let coding = qualifier.as_ref().and_then(|q| self.source.coding(q));
                        let reason = row.map_or("unknown", |row| &row.reason);
                        object.insert("dataAbsentReason".to_owned(), absent(reason, coding));
                    }
                }
                true
            }
            Content::Coded { code } => match self.source.concept(code) {
                Some(concept) => {
                    object.insert("valueCodeableConcept".to_owned(), concept);
                    true
                }
                None => false,
            },
            _ => false,
        }
    }
}

fn category() -> Value {
    json!([{ "coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
        "code": "imaging",
        "display": "Imaging",
    }] }])
}

fn absent(reason: &str, other: Option<Value>) -> Value {
    let mut coding = vec![json!({
        "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": reason,
    })];
    coding.extend(other);
    json!({ "coding": coding })
}

/// A DS or FD as a decimal: whole numbers stay whole.
fn decimal(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(whole) = text.trim_start_matches('+').parse::<i64>() {
        return Some(whole.into());
    }
    let number: f64 = text.parse().ok()?;
    serde_json::Number::from_f64(number).map(Value::Number)
}

fn quantity(source: &Source<'_>, value: Value, unit: Option<&Code>) -> Value {
    let mut quantity = Map::new();
    quantity.insert("value".to_owned(), value);
    if let Some((unit, code)) = unit.and_then(|unit| Some((unit, code_in(source.context, unit)?))) {
        let is_ucum = code.system == "http://unitsofmeasure.org";
        // UCUM says itself what it means; other meanings may be anybody's words.
        let text = if is_ucum || source.is_secondary() { &*code.code } else { &unit.meaning };
        if !text.is_empty() {
            quantity.insert("unit".to_owned(), text.into());
        }
        quantity.insert("system".to_owned(), code.system.into_owned().into());
        quantity.insert("code".to_owned(), code.code.into_owned().into());
    }
    Value::Object(quantity)
}

/// The dose of a study (ObservationRadiationDoseEuImaging): one Observation with a sentence, and
/// every figure of the rows as a component.
pub(super) fn dose(source: &Source<'_>) -> Option<Value> {
    let mut work = Work {
        source,
        found: Found { all: Vec::new(), results: Vec::new(), of_section: Vec::new() },
        members: Vec::new(),
    };
    let rows = &source.tables().dose;
    let mut figures: Vec<(usize, &Item)> = Vec::new();
    let mut stack: Vec<&Item> = source.stored.report.items.iter().rev().collect();
    let mut of_row = vec![0_usize; rows.len()];
    while let Some(item) = stack.pop() {
        stack.extend(item.items.iter().rev());
        let (Some(concept), Content::Number { number: Some(_), .. }) =
            (&item.concept, &item.content)
        else {
            continue;
        };
        let name = key(concept);
        let Some(at) = rows.iter().position(|row| row.concept == name) else { continue };
        let (Some(row), Some(count)) = (rows.get(at), of_row.get_mut(at)) else { continue };
        *count += 1;
        if *count <= if row.total { 1 } else { IRRADIATIONS } {
            figures.push((at, item));
        }
    }
    figures.sort_by_key(|(at, _)| *at);
    let mut components = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for (at, item) in figures {
        let Content::Number { number: Some(number), unit, .. } = &item.content else { continue };
        let (Some(row), Some(value)) = (rows.get(at), decimal(number)) else { continue };
        let unit_text = unit
            .as_ref()
            .and_then(|unit| code_in(source.context, unit))
            .map(|code| code.code.into_owned())
            .filter(|code| code != "1" && !code.starts_with('{'));
        let unit_text = unit_text.map(|text| format!(" {text}")).unwrap_or_default();
        words.push(format!("{} {value}{unit_text}", row.label));
        let mut component = Map::new();
        if let Some(concept) = item.concept.as_ref().and_then(|concept| source.concept(concept)) {
            component.insert("code".to_owned(), concept);
            work.value(&mut component, &item.content);
            components.push(Value::Object(component));
        }
    }
    let left_out = if source.stored.report.is_left_out {
        "The dose report is larger than is read."
    } else {
        "The dose report gives no figure that is summarised."
    };
    let sentence = if words.is_empty() {
        left_out.to_owned()
    } else {
        format!(
            "{}. Values as the device reports them; they are no absorbed dose of the patient.",
            words.join("; ")
        )
    };
    let mut object = work.head(0);
    put(&mut object, "identifier", vec![source.identifier()]);
    put(&mut object, "basedOn", source.based_on());
    let [_, _, status] = source.status();
    object.insert("status".to_owned(), status.into());
    object.insert("category".to_owned(), category());
    object.insert(
        "code".to_owned(),
        json!({ "coding": [{
            "system": LOINC,
            "code": "73569-6",
            "display": "Radiation exposure and protection information [Description] Document \
                Diagnostic imaging",
        }] }),
    );
    object.insert("subject".to_owned(), source.subject());
    put_text(&mut object, "effectiveDateTime", source.written());
    object.insert("valueString".to_owned(), sentence.into());
    put(&mut object, "derivedFrom", vec![source.study_reference()]);
    put(&mut object, "component", components);
    work.found.all.push(Value::Null);
    Some(Value::Object(object))
}
