//! A PACS played by wiremock: every trap that real ones set (synthetic data only).

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use vesalius::imaging::Record;
use vesalius::source::dicomweb::{Credentials, DicomWeb, Settings};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::{Memory, Run, run};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

#[derive(Clone, Debug)]
struct Study {
    uid: String,
    patient: String,
    description: String,
    /// Series and how many instances each has.
    series: Vec<(String, usize)>,
}

fn study(number: usize, series: &[usize]) -> Study {
    Study {
        uid: format!("1.2.{number}"),
        patient: format!("P{number}"),
        description: "synthetic".to_owned(),
        series: series
            .iter()
            .enumerate()
            .map(|(at, count)| (format!("1.2.{number}.{at}"), *count))
            .collect(),
    }
}

/// What the server answers instead of the truth, by path; each answer once, the last for ever.
type Faults = HashMap<String, Vec<ResponseTemplate>>;

#[derive(Default)]
struct State {
    studies: Vec<Study>,
    faults: Faults,
    asked: Vec<String>,
    /// Pages are cut to this many rows, whatever `limit` says.
    longest_page: Option<usize>,
    ignores_offset: bool,
    ignores_limit: bool,
    /// Before the n-th request of the list, a study is put at its front.
    insert_before: Option<(usize, Study)>,
    /// Instances that the metadata of their study leave out.
    withheld: BTreeSet<String>,
    authorization: Option<String>,
}

#[derive(Clone, Default)]
struct Pacs(Arc<Mutex<State>>);

impl Pacs {
    fn new(studies: Vec<Study>) -> Self {
        Self(Arc::new(Mutex::new(State { studies, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn fault(&self, path: &str, answers: &[ResponseTemplate]) {
        self.state().faults.insert(path.to_owned(), answers.to_vec());
    }

    fn asked(&self, part: &str) -> usize {
        self.state().asked.iter().filter(|path| path.contains(part)).count()
    }
}

fn dicom_json(rows: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_raw(serde_json::to_vec(rows).unwrap(), "application/dicom+json")
}

fn text(vr: &str, value: &str) -> Value {
    json!({ "vr": vr, "Value": [value] })
}

fn study_row(study: &Study) -> Value {
    let images: usize = study.series.iter().map(|(_, count)| count).sum();
    json!({
        "0020000D": text("UI", &study.uid),
        "00100020": text("LO", &study.patient),
        "00081030": text("LO", &study.description),
        "00081190": text("UR", "http://elsewhere.example/studies"),
        "00201208": { "vr": "IS", "Value": [images] },
    })
}

fn instance_row(study: &Study, series: &str, number: usize) -> Value {
    json!({
        "00080016": text("UI", CT),
        "00080018": text("UI", &format!("{series}.{number}")),
        "00080060": text("CS", "CT"),
        "0020000D": text("UI", &study.uid),
        "0020000E": text("UI", series),
        "00100020": text("LO", &study.patient),
        "00200013": { "vr": "IS", "Value": [number] },
        "7FE00010": { "vr": "OW", "BulkDataURI": "http://192.0.2.1/bulk/7fe00010" },
    })
}

impl Respond for Pacs {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.state();
        let path = request.url.path().trim_start_matches("/pacs/").to_owned();
        state.asked.push(format!("{path}?{}", request.url.query().unwrap_or("")));
        state.authorization =
            request.headers.get("authorization").map(|v| v.to_str().unwrap().to_owned());
        if let Some(answers) = state.faults.get_mut(&path) {
            let answer = answers[0].clone();
            if answers.len() > 1 {
                answers.remove(0);
            } else if answer_is_passing(&answer) {
                state.faults.remove(&path);
            }
            return answer;
        }
        let query: HashMap<_, _> = request.url.query_pairs().into_owned().collect();
        let parts: Vec<&str> = path.split('/').collect();
        let rows: Vec<Value> = match parts[..] {
            ["studies"] => {
                let lists = state.asked.iter().filter(|p| p.starts_with("studies?")).count();
                if state.insert_before.as_ref().is_some_and(|(at, _)| *at == lists) {
                    let (_, study) = state.insert_before.take().unwrap();
                    state.studies.insert(0, study);
                }
                let wanted = query.get("StudyInstanceUID");
                let is_wanted = |s: &&Study| wanted.is_none_or(|uid| *uid == s.uid);
                state.studies.iter().filter(is_wanted).map(study_row).collect()
            }
            ["studies", uid, ref rest @ ..] => {
                let Some(study) = state.studies.iter().find(|s| s.uid == uid) else {
                    // Like Orthanc: an unknown study has an empty list of series.
                    return match rest {
                        ["series"] => dicom_json(&[]),
                        _ => ResponseTemplate::new(404),
                    };
                };
                let all = |series: &str, count: usize| -> Vec<Value> {
                    (1..=count).map(|n| instance_row(study, series, n)).collect()
                };
                let of = |uid: &str| study.series.iter().find(|(known, _)| known == uid).unwrap();
                let served = |rows: Vec<Value>| -> Vec<Value> {
                    let uid =
                        |row: &Value| row["00080018"]["Value"][0].as_str().unwrap().to_owned();
                    rows.into_iter().filter(|row| !state.withheld.contains(&uid(row))).collect()
                };
                match *rest {
                    ["metadata"] => {
                        served(study.series.iter().flat_map(|(uid, n)| all(uid, *n)).collect())
                    }
                    ["series"] => study
                        .series
                        .iter()
                        .map(|(uid, count)| {
                            json!({
                                "0020000E": text("UI", uid),
                                "00201209": { "vr": "IS", "Value": [count] },
                            })
                        })
                        .collect(),
                    ["series", series, "metadata"] => served(all(series, of(series).1)),
                    ["series", series, "instances"] => all(series, of(series).1),
                    ["series", series, "instances", sop, "metadata"] => served(
                        all(series, of(series).1)
                            .into_iter()
                            .filter(|row| row["00080018"]["Value"][0] == sop)
                            .collect(),
                    ),
                    _ => return ResponseTemplate::new(404),
                }
            }
            _ => return ResponseTemplate::new(404),
        };
        if path.ends_with("metadata") {
            return dicom_json(&rows);
        }
        let number = |key: &str| query.get(key).and_then(|n| n.parse::<usize>().ok());
        let offset = number("offset").filter(|_| !state.ignores_offset).unwrap_or(0);
        let limit = number("limit").filter(|_| !state.ignores_limit).unwrap_or(usize::MAX);
        let limit = limit.min(state.longest_page.unwrap_or(usize::MAX));
        let page: Vec<Value> = rows.into_iter().skip(offset).take(limit).collect();
        dicom_json(&page)
    }
}

/// A fault that goes away after its last answer: marked by a header.
fn answer_is_passing(answer: &ResponseTemplate) -> bool {
    format!("{answer:?}").contains("x-passing")
}

fn passing(answer: ResponseTemplate) -> ResponseTemplate {
    answer.insert_header("x-passing", "1")
}

fn settings() -> Settings {
    Settings {
        page: 3,
        first_wait: Duration::from_millis(5),
        idle_timeout: Duration::from_millis(300),
        ..Settings::default()
    }
}

/// Runs twice the length of a source against the played PACS, on a thread that may block.
fn with_pacs(pacs: &Pacs, work: impl FnOnce(&str) + Send + 'static) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pacs = pacs.clone();
    let server = runtime.block_on(async move {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(pacs).mount(&server).await;
        server
    });
    let url = format!("{}/pacs", server.uri());
    work(&url);
    runtime.block_on(async move { drop(server) });
}

fn source(url: &str) -> DicomWeb {
    DicomWeb::new(url, settings(), Credentials::None).unwrap()
}

fn uids(run: &Run) -> BTreeSet<String> {
    run.records.iter().map(|r| r.instance.as_ref().unwrap().uid.to_string()).collect()
}

fn codes(run: &Run) -> Vec<(String, String)> {
    let mut codes: Vec<_> =
        run.quarantined.iter().map(|(origin, r)| (origin.clone(), r.code.clone())).collect();
    codes.sort();
    codes
}

fn once(pacs: &Pacs) -> Run {
    let found = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&found);
    with_pacs(pacs, move |url| {
        *keep.lock().unwrap() = Some(run(&mut source(url), &mut Memory::default()).unwrap());
    });
    let mut found = found.lock().unwrap();
    found.take().unwrap()
}

#[test]
fn every_instance_arrives_and_a_second_run_fetches_nothing() {
    let pacs = Pacs::new((1..=10).map(|n| study(n, &[2, 1])).collect());
    let again = pacs.clone();
    with_pacs(&pacs, move |url| {
        let mut journal = Memory::default();
        let first = run(&mut source(url), &mut journal).unwrap();
        assert_eq!((first.records.len(), uids(&first).len()), (30, 30));
        assert_eq!(first.expected, Some(30));
        assert_eq!(first.settled.len(), 10);
        let (origin, stamp, inputs, of) = &first.settled[0];
        assert!(origin.starts_with("studies/1.2."));
        assert_eq!((stamp.size, *inputs, of.as_ref().unwrap().1.len()), (3, 3, 3));
        assert_eq!(first.records[0].origin.matches("instances").count(), 1);
        let asked = again.asked("metadata");
        let second = run(&mut source(url), &mut journal).unwrap();
        assert_eq!((second.unchanged.len(), second.records.len()), (10, 0));
        assert_eq!(second.unchanged.iter().map(|(_, n)| n).sum::<u64>(), 30);
        assert_eq!(again.asked("metadata"), asked);
    });
    assert!(pacs.asked("bulk") == 0 && pacs.asked("instances") == 0);
}

#[test]
fn new_changed_and_deleted_studies_show() {
    let pacs = Pacs::new((1..=4).map(|n| study(n, &[2])).collect());
    let change = pacs.clone();
    with_pacs(&pacs, move |url| {
        let mut journal = Memory::default();
        run(&mut source(url), &mut journal).unwrap();
        {
            let mut state = change.state();
            state.studies[0].series[0].1 = 3; // one instance more
            state.studies[1].description = "corrected".to_owned(); // same instances
            state.studies.remove(3);
            state.studies.push(study(9, &[1]));
        }
        let second = run(&mut source(url), &mut journal).unwrap();
        let mut settled: Vec<_> = second.settled.iter().map(|(origin, ..)| &**origin).collect();
        settled.sort_unstable();
        assert_eq!(settled, ["studies/1.2.1", "studies/1.2.2", "studies/1.2.9"]);
        assert_eq!(second.unchanged, [("studies/1.2.3".to_owned(), 2)]);
        assert!(second.quarantined.is_empty(), "the deleted study is just not there");
    });
    assert_eq!(pacs.asked("StudyInstanceUID=1.2.4"), 1, "and was asked for by name");
}

#[test]
fn instances_that_vanished_are_not_in_the_settled_list() {
    let pacs = Pacs::new(vec![study(1, &[3])]);
    let change = pacs.clone();
    with_pacs(&pacs, move |url| {
        let mut journal = Memory::default();
        run(&mut source(url), &mut journal).unwrap();
        change.state().studies[0].series[0].1 = 2;
        let second = run(&mut source(url), &mut journal).unwrap();
        let (.., of) = &second.settled[0];
        let left: Vec<_> = of.as_ref().unwrap().1.iter().map(|uid| uid.as_str()).collect();
        assert_eq!(left, ["1.2.1.0.1", "1.2.1.0.2"]);
    });
}

#[test]
fn one_study_that_cannot_be_converted_is_read_in_parts() {
    let pacs = Pacs::new((1..=3).map(|n| study(n, &[2, 2])).collect());
    let failure = ResponseTemplate::new(500).set_body_string("Cannot convert DICOM to DICOMweb");
    for path in [
        "studies/1.2.2/metadata",
        "studies/1.2.2/series/1.2.2.1/metadata",
        "studies/1.2.2/series/1.2.2.1/instances/1.2.2.1.2/metadata",
    ] {
        pacs.fault(path, std::slice::from_ref(&failure));
    }
    let run = once(&pacs);
    assert_eq!(uids(&run).len(), 11);
    assert_eq!(
        codes(&run),
        [("studies/1.2.2/series/1.2.2.1/instances/1.2.2.1.2".to_owned(), "http-500".to_owned())]
    );
    let partial = run.settled.iter().find(|(origin, ..)| origin == "studies/1.2.2").unwrap();
    assert_eq!(partial.2, 4, "records and quarantined parts");
    assert_eq!(partial.3.as_ref().unwrap().1.len(), 4, "the unserved instance exists: it is kept");
}

#[test]
fn a_study_listed_twice_and_served_never_is_reported_once_and_settled() {
    let mut twice = study(2, &[1]);
    twice.patient = "other".to_owned();
    let pacs = Pacs::new(vec![study(1, &[1]), study(2, &[1]), twice]);
    pacs.fault("studies/1.2.2/metadata", &[ResponseTemplate::new(404)]);
    pacs.fault("studies/1.2.2/series", &[dicom_json(&[])]);
    let again = pacs.clone();
    with_pacs(&pacs, move |url| {
        let mut journal = Memory::default();
        let first = run(&mut source(url), &mut journal).unwrap();
        assert_eq!(
            codes(&first),
            [("studies/1.2.2".to_owned(), "study-not-served-http-404".to_owned())]
        );
        assert_eq!(uids(&first).len(), 1);
        assert_eq!(again.asked("studies/1.2.2/metadata"), 1);
    });
}

#[test]
fn instances_that_a_study_withholds_are_asked_for_by_name() {
    let pacs = Pacs::new(vec![study(1, &[3])]);
    pacs.state().withheld.insert("1.2.1.0.2".to_owned());
    let run = once(&pacs);
    assert_eq!(uids(&run).len(), 2);
    assert_eq!(
        codes(&run),
        [("studies/1.2.1/series/1.2.1.0/instances/1.2.1.0.2".to_owned(), "not-served".to_owned())]
    );
}

#[test]
fn a_list_is_read_whole_whatever_the_server_makes_of_paging() {
    type Habit = fn(&mut State);
    let habits: [(&str, Habit); 6] = [
        ("honest", |_| {}),
        ("cuts pages", |state| state.longest_page = Some(2)),
        ("ignores limit", |state| state.ignores_limit = true),
        ("ignores both", |state| {
            state.ignores_limit = true;
            state.ignores_offset = true;
        }),
        ("ignores offset", |state| state.ignores_offset = true),
        ("moves", |state| state.insert_before = Some((2, study(99, &[1])))),
    ];
    for (name, habit) in habits {
        for count in [0, 1, 2, 3, 4, 7] {
            let pacs = Pacs::new((1..=count).map(|n| study(n, &[1])).collect());
            habit(&mut pacs.state());
            let run = once(&pacs);
            let expected = pacs.state().studies.len();
            assert_eq!(uids(&run).len(), expected, "{name} with {count}");
        }
    }
}

#[test]
fn a_list_that_cannot_be_read_whole_is_an_error_so_that_nothing_is_removed() {
    let html = || ResponseTemplate::new(200).set_body_raw("<html>login</html>", "text/html");
    let page = ResponseTemplate::new(200).set_body_raw("<html>", "application/json");
    for (answer, expected) in [
        (html(), "not-dicom-json"),
        (page, "not-dicom-json"),
        (ResponseTemplate::new(401), "http-401"),
        (ResponseTemplate::new(403), "http-403"),
        (ResponseTemplate::new(500), "http-500"),
        (ResponseTemplate::new(503), "http-503"),
        (
            ResponseTemplate::new(302).insert_header("location", "http://192.0.2.1/studies"),
            "redirected",
        ),
    ] {
        let pacs = Pacs::new(vec![study(1, &[1])]);
        pacs.fault("studies", &[answer]);
        with_pacs(&pacs, move |url| {
            let failure = run(&mut source(url), &mut Memory::default()).unwrap_err().to_string();
            assert!(failure.contains(expected), "{expected}: {failure}");
        });
    }
}

#[test]
fn no_match_is_204_or_an_empty_array() {
    for answer in [ResponseTemplate::new(204), dicom_json(&[]), ResponseTemplate::new(200)] {
        let pacs = Pacs::default();
        pacs.fault("studies", &[answer]);
        let run = once(&pacs);
        assert!(run.records.is_empty() && run.settled.is_empty());
    }
}

#[test]
fn what_fails_in_passing_is_tried_again() {
    let slow = dicom_json(&[]).set_delay(Duration::from_secs(2));
    for answer in [
        ResponseTemplate::new(429).insert_header("retry-after", "0"),
        ResponseTemplate::new(503),
        ResponseTemplate::new(502),
        slow,
    ] {
        let pacs = Pacs::new(vec![study(1, &[2])]);
        pacs.fault("studies", &[passing(answer.clone())]);
        pacs.fault("studies/1.2.1/metadata", &[answer.clone(), passing(answer)]);
        let run = once(&pacs);
        assert_eq!(uids(&run).len(), 2);
        assert!(run.quarantined.is_empty() && run.settled.len() == 1);
        assert_eq!(pacs.asked("studies/1.2.1/metadata"), 3);
    }
}

#[test]
fn retry_after_is_honoured() {
    let pacs = Pacs::new(vec![study(1, &[1])]);
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "1");
    pacs.fault("studies/1.2.1/metadata", &[passing(busy)]);
    let started = std::time::Instant::now();
    assert_eq!(uids(&once(&pacs)).len(), 1);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn what_fails_for_longer_is_left_open_for_the_next_run() {
    let pacs = Pacs::new(vec![study(1, &[1]), study(2, &[1])]);
    pacs.fault("studies/1.2.1/metadata", &[ResponseTemplate::new(503)]);
    let change = pacs.clone();
    with_pacs(&pacs, move |url| {
        let mut journal = Memory::default();
        let first = run(&mut source(url), &mut journal).unwrap();
        assert_eq!(codes(&first), [("studies/1.2.1".to_owned(), "http-503".to_owned())]);
        assert_eq!(first.settled.len(), 1, "not settled, so it is asked for again");
        change.state().faults.clear();
        let second = run(&mut source(url), &mut journal).unwrap();
        assert_eq!(uids(&second).len(), 1);
        assert_eq!(second.unchanged.len(), 1);
    });
}

#[test]
fn a_server_that_is_gone_ends_the_run() {
    let pacs = Pacs::new((1..=40).map(|n| study(n, &[1])).collect());
    for n in 1..=40 {
        pacs.fault(&format!("studies/1.2.{n}/metadata"), &[ResponseTemplate::new(503)]);
    }
    with_pacs(&pacs, |url| {
        let failure = run(&mut source(url), &mut Memory::default()).unwrap_err().to_string();
        assert!(failure.contains("in a row"), "{failure}");
    });
    assert!(pacs.asked("metadata") < 40 * 4);
}

#[test]
fn an_instance_of_another_study_is_not_taken() {
    let (one, two) = (study(1, &[1]), study(2, &[1]));
    let pacs = Pacs::new(vec![one.clone(), two.clone()]);
    let mixed = [instance_row(&one, "1.2.1.0", 1), instance_row(&two, "1.2.2.0", 1)];
    pacs.fault("studies/1.2.1/metadata", &[dicom_json(&mixed)]);
    let run = once(&pacs);
    assert_eq!(uids(&run).len(), 2);
    let [(origin, reason)] = &run.quarantined[..] else { panic!("{run:?}") };
    assert_eq!((&*reason.code, &*reason.path), ("wrong-part", "StudyInstanceUID"));
    assert_eq!(origin, "studies/1.2.1/series/1.2.2.0/instances/1.2.2.0.1");
}

#[test]
fn an_instance_that_cannot_be_read_is_quarantined_alone() {
    let one = study(1, &[3]);
    let pacs = Pacs::new(vec![one.clone()]);
    let mut broken = instance_row(&one, "1.2.1.0", 2);
    broken.as_object_mut().unwrap().remove("00080016");
    let rows = [instance_row(&one, "1.2.1.0", 1), broken.clone(), instance_row(&one, "1.2.1.0", 3)];
    pacs.fault("studies/1.2.1/metadata", &[dicom_json(&rows)]);
    let run = once(&pacs);
    assert_eq!(uids(&run).len(), 2);
    let [(origin, reason)] = &run.quarantined[..] else { panic!("{run:?}") };
    assert_eq!((&*reason.code, &*reason.path), ("uid-missing", "SOPClassUID"));
    assert_eq!(origin, "studies/1.2.1/series/1.2.1.0/instances/1.2.1.0.2");
    assert_eq!(run.settled[0].2, 3);
}

#[test]
fn credentials_are_sent_and_an_address_with_a_password_is_refused() {
    let pacs = Pacs::new(vec![study(1, &[1])]);
    with_pacs(&pacs, |url| {
        let basic = Credentials::Basic { user: "u".to_owned(), password: "p".to_owned() };
        let mut source = DicomWeb::new(url, settings(), basic).unwrap();
        run(&mut source, &mut Memory::default()).unwrap();
    });
    assert_eq!(pacs.state().authorization.as_deref(), Some("Basic dTpw"));
    let refused = |url: &str| {
        DicomWeb::new(url, settings(), Credentials::None).map(drop).unwrap_err().to_string()
    };
    let message = refused("https://u:hunter2@pacs.example/dicom-web");
    assert!(message.contains("VESALIUS_DICOMWEB_PASSWORD") && !message.contains("hunter2"));
    for wrong in ["pacs.example", "ftp://pacs.example/", "https://pacs.example/?limit=1"] {
        assert!(refused(wrong).contains("DICOMweb address"), "{wrong}");
    }
}

/// An answer that breaks off inside its body, which wiremock cannot play.
#[test]
fn an_answer_that_breaks_off_is_asked_for_again_and_nothing_comes_twice() {
    let one = study(1, &[2]);
    let rows = [instance_row(&one, "1.2.1.0", 1), instance_row(&one, "1.2.1.0", 2)];
    let metadata = serde_json::to_string(&rows).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let breaks = Arc::new(Mutex::new(2));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).unwrap();
            let line = String::from_utf8_lossy(&request[..read]).lines().next().unwrap().to_owned();
            let (body, cut) = if line.contains("/metadata") {
                let mut left = breaks.lock().unwrap();
                let cut = if *left > 0 { 100 } else { 0 };
                *left = u32::saturating_sub(*left, 1);
                (metadata.clone(), cut)
            } else if line.contains("/series") {
                let row = json!([{ "0020000E": text("UI", "1.2.1.0"),
                                   "00201209": { "vr": "IS", "Value": [2] } }]);
                (row.to_string(), 0)
            } else {
                (json!([study_row(&study(1, &[2]))]).to_string(), 0)
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/dicom+json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body.as_bytes()[..body.len() - cut]).unwrap();
        }
    });
    let run = run(&mut source(&url), &mut Memory::default()).unwrap();
    assert_eq!((run.records.len(), uids(&run).len()), (2, 2));
    assert!(run.quarantined.is_empty(), "{run:?}");
}

#[test]
fn a_data_set_beyond_the_bound_is_not_held() {
    let one = study(1, &[1]);
    let mut large = instance_row(&one, "1.2.1.0", 1);
    large["00081030"] = text("LO", &"x".repeat(1 << 20));
    let pacs = Pacs::new(vec![one]);
    for path in ["studies/1.2.1", "studies/1.2.1/series/1.2.1.0"] {
        pacs.fault(&format!("{path}/metadata"), &[dicom_json(&[large.clone()])]);
    }
    let instance = "studies/1.2.1/series/1.2.1.0/instances/1.2.1.0.1";
    pacs.fault(&format!("{instance}/metadata"), &[dicom_json(&[large])]);
    with_pacs(&pacs, move |url| {
        let settings = Settings { largest_data_set: 100_000, ..settings() };
        let mut source = DicomWeb::new(url, settings, Credentials::None).unwrap();
        let run = run(&mut source, &mut Memory::default()).unwrap();
        assert_eq!(codes(&run), [(instance.to_owned(), "too-large".to_owned())]);
    });
}

/// Where what came over DICOMweb differs from the same instances read from files. Their size and
/// digest belong to the file, and so does its transfer syntax.
fn differences(run: &Run, folders: &str) -> Vec<Value> {
    use vesalius::dicom::{Outcome, Reader};
    let mut reader = Reader::default();
    let mut files: HashMap<String, Vec<Record>> = HashMap::new();
    for folder in folders.split(':').filter(|folder| !folder.is_empty()) {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
            if let Outcome::Record(record) = reader.file(entry.path(), "file") {
                let uid = record.instance.as_ref().unwrap().uid.to_string();
                files.entry(uid).or_default().push(*record);
            }
        }
    }
    let shown = |record: &Record| {
        let mut record = record.clone();
        let instance = record.instance.as_mut().unwrap();
        (instance.bytes, instance.digest, instance.transfer_syntax) = (0, 0, None);
        (record.bytes, record.origin, record.findings) = (0, String::new(), Vec::new());
        serde_json::to_value(&record).unwrap()
    };
    let mut differences = Vec::new();
    let mut compared = 0;
    for record in &run.records {
        let uid = record.instance.as_ref().unwrap().uid.as_str();
        let Some(copies) = files.get(uid) else { continue };
        compared += 1;
        let served = shown(record);
        let stored: Vec<Value> = copies.iter().map(shown).collect();
        if stored.contains(&served) {
            continue;
        }
        let stored = &stored[0];
        for level in ["patient_key", "patient", "study", "series", "instance"] {
            let (served, stored) = (&served[level], &stored[level]);
            let keys: BTreeSet<&String> = [served, stored]
                .into_iter()
                .flat_map(|value| value.as_object().into_iter().flat_map(|o| o.keys()))
                .collect();
            for key in keys.into_iter().filter(|key| served[*key] != stored[*key]) {
                differences.push(json!({ "event": "differs", "uid": uid, "key": key,
                    "served": served[key], "file": stored[key] }));
            }
        }
    }
    differences.push(json!({ "event": "compared", "instances": compared }));
    differences
}

/// `conformance/dicomweb/run.sh` drives this against a real Orthanc: it prints one JSON line an
/// item, and remembers in a file what was settled.
#[test]
fn a_real_server_is_read() {
    let Ok(url) = std::env::var("VESALIUS_TEST_DICOMWEB") else {
        eprintln!("skipped: VESALIUS_TEST_DICOMWEB names no server");
        return;
    };
    let file = std::env::var("VESALIUS_TEST_JOURNAL").unwrap();
    let mut journal = Memory::load(std::path::Path::new(&file));
    let credentials = Credentials::from_environment(std::env::vars()).unwrap();
    let mut source = DicomWeb::new(&url, Settings::default(), credentials).unwrap();
    let started = std::time::Instant::now();
    let run = run(&mut source, &mut journal).unwrap();
    journal.save(std::path::Path::new(&file));
    for record in &run.records {
        println!("{}", json!({ "event": "record", "origin": record.origin, "record": record }));
    }
    for (origin, reason) in &run.quarantined {
        println!("{}", json!({ "event": "quarantined", "origin": origin, "reason": reason }));
    }
    let folders = std::env::var("VESALIUS_TEST_FOLDERS").unwrap_or_default();
    for difference in differences(&run, &folders) {
        println!("{difference}");
    }
    let summary = json!({
        "event": "summary",
        "records": run.records.len(),
        "quarantined": run.quarantined.len(),
        "unchanged": run.unchanged.iter().map(|(_, n)| n).sum::<u64>(),
        "unchanged_studies": run.unchanged.len(),
        "settled_studies": run.settled.iter().map(|(origin, ..)| origin).collect::<Vec<_>>(),
        "seconds": started.elapsed().as_secs_f64(),
    });
    println!("{summary}");
}
