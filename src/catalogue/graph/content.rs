//! What the archive says about the content: counts, codes, variables.

use oxrdf::NamedNode;

use super::{Draft, Subject, Writer, part};
use crate::catalogue::description::Text;
use crate::catalogue::figures::Disclosed;
use crate::catalogue::release::{Carrier, CodeValues, Scheme, Variable, VariableTable};
use crate::imaging::Facet;

impl Writer<'_> {
    /// Codes, coding systems and keywords that the data themselves show.
    pub(super) fn codes(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let figures = subject.figures;
        let release = self.release;
        for row in &release.code_systems.facet {
            for shown in figures.terms(row.facet) {
                code_value(draft, node, &row.prefix, &shown.term);
                draft.concept(
                    node,
                    "healthdcatap:hasCodingSystem",
                    Scheme::CodingSystem,
                    &row.coding_system,
                );
            }
        }
        let facets = [Facet::BodySite, Facet::Laterality, Facet::Procedure, Facet::Reason];
        for shown in facets.iter().flat_map(|facet| figures.terms(*facet)) {
            // Terms are `system|code`; Laterality is a bare SNOMED CT code.
            let (system, code) =
                shown.term.split_once('|').unwrap_or(("http://snomed.info/sct", &shown.term));
            let row = release.code_systems.system.iter().find(|row| row.uri == system);
            if let Some(row) = row {
                code_value(draft, node, &row.prefix, code);
                draft.concept(
                    node,
                    "healthdcatap:hasCodingSystem",
                    Scheme::CodingSystem,
                    &row.coding_system,
                );
            }
        }
        for shown in figures.terms(Facet::Modality) {
            if let Some(label) = release.modality(&shown.term) {
                draft.tagged(node, "dcat:keyword", "en", label);
            }
        }
    }

    /// The dictionary of variables, of those that the archive holds.
    pub(super) fn variables(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let Subject { figures, description, .. } = *subject;
        let form = &self.release.file.form;
        let present: Vec<_> = self
            .release
            .variables
            .iter()
            .filter(|variable| {
                figures.attributes.binary_search(&variable.attribute).is_ok()
                    || variable.facet.is_some_and(|facet| facet_has_terms(figures, facet))
            })
            .collect();
        let is_structured = !present.is_empty();
        if form.structured_data {
            let truth = if is_structured { "true" } else { "false" };
            draft.typed(node, "healthdcatap:hasStructuredData", truth, "xsd:boolean");
        }
        if !is_structured {
            return;
        }
        let english = Text::new("en", "");
        let group = part(node, "variables");
        let carrier = match form.variables_on {
            Carrier::Dataset => node.clone(),
            Carrier::Distribution => {
                NamedNode::new_unchecked(format!("{}/distribution/1", node.as_str()))
            }
        };
        draft.add(&carrier, "healthdcatap:hasVariables", group.clone());
        draft.kind(&group, "csvw:TableGroup");
        if form.table_group_title {
            draft.phrase(&group, "dct:title", "variables", &english);
        }
        for (kind, name, phrase) in [
            (VariableTable::Study, "studies", "study-table"),
            (VariableTable::Series, "series", "series-table"),
        ] {
            let columns: Vec<&Variable> =
                present.iter().filter(|variable| variable.table == kind).copied().collect();
            if columns.is_empty() {
                continue;
            }
            let table = part(node, name);
            draft.add(&group, "csvw:table", table.clone());
            draft.kind(&table, "csvw:Table");
            draft.phrase(&table, "dct:title", phrase, &english);
            if let Some(own) = description.tables.get(name) {
                if let Some(url) = &own.url {
                    draft.link(&table, "csvw:url", url);
                }
                for (language, word) in own.keywords.iter() {
                    draft.tagged(&table, "dcat:keyword", language, word);
                }
            }
            for variable in columns {
                for code in &variable.coding_systems {
                    draft.concept(node, "healthdcatap:hasCodingSystem", Scheme::CodingSystem, code);
                }
                let column = part(node, &format!("variable-{}", variable.name));
                draft.add(&table, "csvw:column", column.clone());
                self.column(draft, &column, variable, figures);
            }
        }
    }

    fn column(
        &self,
        draft: &mut Draft<'_>,
        column: &NamedNode,
        variable: &Variable,
        figures: &Disclosed,
    ) {
        let form = &self.release.file.form;
        draft.kind(column, "csvw:Column");
        draft.literal(column, "csvw:name", &variable.name);
        draft.tagged(column, &form.column_title, "en", &variable.title);
        draft.text(column, &form.column_title, &variable.titles);
        draft.literal(column, "csvw:datatype", &variable.datatype);
        let coverage = figures.coverage.get(&variable.attribute);
        let english = std::iter::once(("en", variable.description.as_str()));
        for (language, text) in english.chain(variable.descriptions.iter()) {
            let sentence = coverage.and_then(|share| {
                let phrase = self.release.phrase("coverage", language)?;
                Some(phrase.replace("{share}", &share.to_string()))
            });
            let text = sentence.map_or_else(|| text.to_owned(), |more| format!("{text} {more}"));
            draft.tagged(column, "dct:description", language, &text);
        }
        if let Some(property) = &variable.property {
            draft.link(column, "csvw:propertyUrl", property);
        }
    }
}

/// A code as the release writes it: a literal, or a concept with its notation.
fn code_value(draft: &mut Draft<'_>, node: &NamedNode, prefix: &str, code: &str) {
    let text = format!("{prefix} {code}");
    match draft.release.file.form.code_values {
        CodeValues::Literal => draft.literal(node, "healthdcatap:hasCodeValues", &text),
        CodeValues::Concept => {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            let name: String = text.chars().map(plain).collect();
            let concept = part(node, &format!("code-{name}"));
            draft.add(node, "healthdcatap:hasCodeValues", concept.clone());
            draft.kind(&concept, "skos:Concept");
            draft.literal(&concept, "skos:notation", &text);
        }
    }
}

fn facet_has_terms(figures: &Disclosed, facet: Facet) -> bool {
    match facet {
        Facet::Age => figures.min_age.is_some(),
        other => figures.terms(other).next().is_some(),
    }
}
