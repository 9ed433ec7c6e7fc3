//! The tables, as `migrations/` makes them on both databases.

diesel::table! {
    counter (name) { name -> Text, value -> BigInt, }
}
diesel::table! {
    change (seq) { seq -> BigInt, kind -> SmallInt, number -> BigInt, mark -> BigInt, }
}
diesel::table! {
    meta (name) { name -> Text, value -> Text, }
}
diesel::table! {
    source (number) { number -> BigInt, kind -> Text, locator -> Text, name -> Text, }
}
diesel::table! {
    run (number) {
        number -> BigInt,
        source -> BigInt,
        started -> BigInt,
        finished -> Nullable<BigInt>,
        state -> Text,
        summary -> Text,
    }
}
diesel::table! {
    input (source, origin) {
        source -> BigInt,
        origin -> Text,
        size -> BigInt,
        mark -> BigInt,
        state -> SmallInt,
        inputs -> BigInt,
        series -> Nullable<BigInt>,
        sop -> Nullable<Text>,
        run -> BigInt,
        code -> Nullable<Text>,
        path -> Nullable<Text>,
        place -> Nullable<BigInt>,
        detail -> Nullable<Text>,
    }
}
diesel::table! {
    patient (number) {
        number -> BigInt,
        issuer -> Text,
        id -> Text,
        care_id -> Text,
        research_id -> Text,
        attributes -> Text,
        rank -> Text,
        version -> Integer,
        updated -> BigInt,
        deleted -> Bool,
    }
}
diesel::table! {
    study (number) {
        number -> BigInt,
        uid -> Text,
        patient -> BigInt,
        source -> BigInt,
        collection -> Nullable<Text>,
        care_id -> Text,
        research_id -> Text,
        attributes -> Text,
        rank -> Text,
        version -> Integer,
        updated -> BigInt,
        deleted -> Bool,
    }
}
diesel::table! {
    series (number) {
        number -> BigInt,
        study -> BigInt,
        uid -> Text,
        patient -> BigInt,
        attributes -> Text,
        study_attributes -> Nullable<Text>,
        rank -> Text,
        images -> Integer,
        bytes -> BigInt,
        first_image -> BigInt,
        image_block -> Integer,
        sop_classes -> Text,
        licence -> Nullable<Text>,
        source_doi -> Nullable<Text>,
        person -> Nullable<Text>,
        instances -> Nullable<Binary>,
    }
}
diesel::table! {
    instance (hash, series) { hash -> BigInt, series -> BigInt, }
}
diesel::table! {
    report (number) {
        number -> BigInt,
        study -> BigInt,
        series -> BigInt,
        uid -> Text,
        sop_class -> Text,
        care_id -> Text,
        research_id -> Text,
        version -> Integer,
        updated -> BigInt,
        deleted -> Bool,
        content -> Nullable<Binary>,
    }
}
diesel::table! {
    lookup (kind, value, number) { kind -> SmallInt, value -> Text, number -> BigInt, }
}
diesel::table! {
    finding (study, code, attribute) {
        study -> BigInt,
        code -> Text,
        attribute -> Text,
        value -> Text,
        count -> BigInt,
    }
}
diesel::allow_tables_to_appear_in_same_query!(source, run, input, patient, study, series, finding);
diesel::table! {
    dataset (slug) {
        slug -> Text,
        number -> BigInt,
        state -> Text,
        description -> Text,
        version -> Text,
        figures -> Text,
        document -> Text,
        report -> Text,
        issued -> BigInt,
        modified -> BigInt,
        next_release -> Nullable<BigInt>,
        selection -> Text,
    }
}
diesel::table! {
    subscription (id) {
        id -> Text,
        subject -> Text,
        body -> Text,
        status -> Text,
        error -> Nullable<Text>,
        version -> Integer,
        updated -> BigInt,
        seq -> BigInt,
        attempts -> Integer,
        due -> BigInt,
    }
}
diesel::table! {
    description_version (number) {
        number -> BigInt,
        slug -> Text,
        at -> BigInt,
        who -> Text,
        verdict -> Text,
        changes -> Text,
        text -> Text,
    }
}
diesel::table! {
    dataset_event (seq) {
        seq -> BigInt,
        slug -> Text,
        operation -> SmallInt,
        version -> Text,
        access -> Text,
        time -> BigInt,
        hash -> Text,
        bytes -> BigInt,
        published -> BigInt,
        successor -> Nullable<BigInt>,
        document -> Nullable<Text>,
    }
}
diesel::allow_tables_to_appear_in_same_query!(dataset, dataset_event);
diesel::table! {
    record (number) {
        number -> BigInt,
        #[sql_name = "type"]
        kind -> Text,
        id -> Text,
        version -> Integer,
        change -> BigInt,
        updated -> BigInt,
        deleted -> Bool,
    }
}
diesel::table! {
    record_version (record, version) {
        record -> BigInt,
        version -> Integer,
        #[sql_name = "type"]
        kind -> Text,
        change -> BigInt,
        updated -> BigInt,
        method -> SmallInt,
        author -> Text,
        body -> Nullable<Binary>,
    }
}
diesel::allow_tables_to_appear_in_same_query!(record, record_version);
diesel::table! {
    draft (slug) {
        slug -> Text,
        version -> BigInt,
        base -> Text,
        text -> Text,
        who -> Text,
        at -> BigInt,
    }
}
diesel::table! {
    description_write (number) {
        number -> BigInt,
        slug -> Text,
        base -> Text,
        text -> Text,
        who -> Text,
        at -> BigInt,
    }
}
diesel::table! {
    harvest_dataset (source, iri) {
        source -> Text,
        iri -> Text,
        state -> Text,
        document -> Text,
        hash -> Text,
        first_seen -> BigInt,
        changed -> BigInt,
        missing -> Integer,
        report -> Text,
    }
}
diesel::table! {
    harvest_identifier (source, iri, identifier) {
        source -> Text,
        iri -> Text,
        identifier -> Text,
    }
}
diesel::table! {
    harvest_page (source, url) {
        source -> Text,
        url -> Text,
        etag -> Text,
        modified -> Text,
        kind -> Text,
        body -> Text,
    }
}
diesel::table! {
    harvest_run (number) {
        number -> BigInt,
        source -> Text,
        started -> BigInt,
        ended -> BigInt,
        complete -> Bool,
        summary -> Text,
    }
}
diesel::allow_tables_to_appear_in_same_query!(harvest_dataset, harvest_identifier);
